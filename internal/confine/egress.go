package confine

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	dialPatience = 30 * time.Second
	maxRefusals  = 20 // names that are remembered for people
)

// exits are the ways out of one room. The sockets listen in the room; who accepts is outside.
type exits struct {
	egress Egress
	server *http.Server
	life   context.Context
	stop   context.CancelFunc
	open   []net.Listener

	mu      sync.Mutex
	refused []string
}

func serveExits(e Egress, listeners []net.Listener) *exits {
	x := &exits{egress: e, open: listeners}
	x.life, x.stop = context.WithCancel(context.Background())
	plain := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: &http.Transport{DialContext: x.dialAllowed, DisableKeepAlives: true, Proxy: x.upstream},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}}
	x.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect:
			x.tunnel(w, r)
		case r.URL.Scheme == "http" && r.URL.Host != "":
			if err := x.allowed(withPort(r.URL.Host, "80")); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			plain.ServeHTTP(w, r)
		default:
			http.Error(w, "this is a proxy", http.StatusBadRequest)
		}
	})}
	go func() { _ = x.server.Serve(listeners[0]) }()
	for i, address := range e.Loopback {
		go x.forward(listeners[1+i], address)
	}
	return x
}

func (x *exits) close() {
	x.stop()
	_ = x.server.Close()
	for _, l := range x.open {
		_ = l.Close()
	}
}

// refusals are the hosts that were refused so far.
func (x *exits) refusals() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.refused)
}

func (x *exits) refuse(host, why string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.refused) < maxRefusals && !slices.Contains(x.refused, host) {
		x.refused = append(x.refused, host)
	}
	return fmt.Errorf("tollgate does not let this through to %s: %s", host, why)
}

// allowed refuses a host and port that are not on the list.
func (x *exits) allowed(hostport string) error {
	if _, ok := x.match(hostport); !ok {
		return x.refuse(hostport, "it is not on the list of hosts")
	}
	return nil
}

// match reports whether the list has a host and port, and whether by its full name with the port.
func (x *exits) match(hostport string) (exactly, ok bool) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return false, false
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, entry := range x.egress.Hosts {
		entry = strings.ToLower(entry)
		if entry == net.JoinHostPort(host, port) {
			return true, true
		}
		want, wantPort, err := net.SplitHostPort(entry)
		if err != nil {
			want, wantPort = entry, "443"
		}
		suffix, wild := strings.CutPrefix(want, "*")
		if port == wantPort && (want == host || wild && strings.HasPrefix(suffix, ".") && strings.HasSuffix(host, suffix) && net.ParseIP(host) == nil) {
			ok = true
		}
	}
	return false, ok
}

func withPort(hostport, port string) string {
	if _, _, err := net.SplitHostPort(hostport); err == nil {
		return hostport
	}
	return net.JoinHostPort(strings.Trim(hostport, "[]"), port)
}

// tunnel answers CONNECT.
func (x *exits) tunnel(w http.ResponseWriter, r *http.Request) {
	if err := x.allowed(r.Host); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	out, err := x.dial(r.Context(), r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = out.Close()
		http.Error(w, "cannot tunnel", http.StatusInternalServerError)
		return
	}
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_, _ = in.Close(), out.Close()
		return
	}
	x.join(&ahead{in, buffered.Reader}, out)
}

// ahead is a connection of which some bytes were read already.
type ahead struct {
	net.Conn
	r *bufio.Reader
}

func (a *ahead) Read(p []byte) (int, error) { return a.r.Read(p) }

// join copies both ways until both are done or the room is closed.
func (x *exits) join(a, b net.Conn) {
	stop := context.AfterFunc(x.life, func() { _, _ = a.Close(), b.Close() })
	defer stop()
	var wg sync.WaitGroup
	oneWay := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		} else {
			_ = to.Close()
		}
	}
	wg.Go(func() { oneWay(a, b) })
	wg.Go(func() { oneWay(b, a) })
	wg.Wait()
	_, _ = a.Close(), b.Close()
}

// forward gives the room an address of this machine's loopback.
func (x *exits) forward(l net.Listener, address string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(x.life, dialPatience)
			defer cancel()
			out, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				_ = in.Close()
				return
			}
			x.join(in, out)
		}()
	}
}

// upstream is the server's own proxy, for plain requests.
func (x *exits) upstream(*http.Request) (*url.URL, error) {
	if x.egress.Upstream == "" {
		return nil, nil
	}
	return url.Parse(x.egress.Upstream)
}

// dialAllowed connects for plain requests: to the upstream proxy, or to what is on the list.
func (x *exits) dialAllowed(ctx context.Context, network, address string) (net.Conn, error) {
	if x.egress.Upstream != "" {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return x.dial(ctx, address)
}

// dial connects to what is on the list. The address is looked at after the name is resolved, and it
// is that address that is connected to: a name may resolve to another one the next time.
func (x *exits) dial(ctx context.Context, hostport string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if x.egress.Upstream != "" {
		return x.dialUpstream(ctx, hostport)
	}
	exactly, _ := x.match(hostport)
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	err = errors.New("no address")
	for _, ip := range found {
		if !exactly && !public(ip) {
			return nil, x.refuse(hostport, "it is an address of this machine or of a private network")
		}
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("connect to %s: %w", hostport, err)
}

// shared is the address space of carriers and of some clouds' metadata (RFC 6598); zone is NAT64,
// through which the metadata address has another name (RFC 6052).
var (
	shared = netip.MustParsePrefix("100.64.0.0/10")
	zone   = netip.MustParsePrefix("64:ff9b::/96")
)

// public reports whether an address belongs to nobody's own network. Those of this machine and of the
// link, as the cloud's metadata have one, are not global.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip) && !zone.Contains(ip)
}

// dialUpstream asks the server's own proxy for a tunnel. It resolves the name, so that only names,
// and no addresses, are passed on.
func (x *exits) dialUpstream(ctx context.Context, hostport string) (net.Conn, error) {
	u, err := url.Parse(x.egress.Upstream)
	if err != nil || u.Scheme != "http" {
		return nil, errors.New("the server's proxy is not an http:// address")
	}
	host, _, _ := net.SplitHostPort(hostport)
	if exactly, _ := x.match(hostport); !exactly && net.ParseIP(host) != nil {
		return nil, x.refuse(hostport, "it is an address, not a name")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", withPort(u.Host, "80"))
	if err != nil {
		return nil, fmt.Errorf("connect to the server's proxy: %w", err)
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: hostport}, Host: hostport, Header: http.Header{}}
	if password, ok := u.User.Password(); ok {
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("ask the server's proxy: %w", err), conn.Close())
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask the server's proxy: %w", err), conn.Close())
	}
	return &ahead{conn, r}, nil
}
