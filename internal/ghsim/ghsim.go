// Package ghsim imitates GitHub on the wire: REST, webhooks, git over HTTP, App authentication
// and a page to click on. It imports nothing of the product, so that it stays an independent
// witness of what the product says to GitHub.
//
// To a client it is a GitHub Enterprise Server: web pages and git lie at the root, REST under
// /api/v3. Repositories are real ones, driven by the real git; everything else lives in memory
// and ends with the process.
//
// One lock guards the whole world. Each REST request and each call of the Go API runs under it
// from start to end, so what a caller observes is always some state between two changes.
// Methods of this package are safe for concurrent use unless they say otherwise.
package ghsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/yuin/goldmark"
)

// Config says how a Server runs. Dir is required, or Memory.
type Config struct {
	// Dir holds the repositories and the request log. It must be empty or absent, because the
	// rest of the world does not outlive the process.
	Dir string
	// Memory keeps repositories in memory, writes no log and listens nowhere: requests come through
	// ServeHTTP. A test can then play thousands of small worlds, also in a bubble of
	// testing/synctest. Such a repository has the ids that git would give, but merges whole files,
	// shows no patches and is not served to git.
	Memory bool
	// Hooks carries the webhooks; a transport of its own by default.
	Hooks http.RoundTripper
	// Listen is a TCP address; a free port of the loopback interface by default.
	Listen string
	// TLS makes it speak HTTPS with this configuration; plain HTTP if nil.
	TLS    *tls.Config
	Logger *slog.Logger
	// Clock is the time that tokens, timestamps and rate limits go by; time.Now by default.
	Clock func() time.Time
	// RateLimit is the number of requests per hour and token; 5,000 by default, as on github.com.
	RateLimit int
	// DeliveryTimeout is how long a webhook waits for its answer; ten seconds by default, as on
	// GitHub.
	DeliveryTimeout time.Duration
	// Observe is called after each REST request has been answered, in the order of the answers.
	// It must not call back into the Server.
	Observe func(Exchange)
	// ObserveDelivery is called after each attempt to deliver a webhook.
	// It must not call back into the Server.
	ObserveDelivery func(Delivery)
}

// Server is a running stand-in for GitHub.
type Server struct {
	cfg   Config
	url   string // of the pages, without a trailing slash
	host  string // its host and port
	http  *http.Server
	ctx   context.Context // of the webhook senders; ends with Close
	stop  context.CancelFunc
	tasks sync.WaitGroup

	api *router
	web http.Handler

	templates *template.Template
	md        goldmark.Markdown

	witness witness
	faults  faults

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, at each change of the world
	world
}

// New starts a server. The caller must Close it.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if cfg.Memory {
		s := newServer(cfg, "127.0.0.1")
		return s, s.routeWeb()
	}
	if err := prepareDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("prepare directory of the stand-in: %w", err)
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := newServer(cfg, ln.Addr().String())
	if cfg.TLS != nil {
		s.url, ln = "https://"+s.host, tls.NewListener(ln, cfg.TLS)
	}
	if err := s.witness.open(filepath.Join(cfg.Dir, "requests.jsonl")); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	if err := s.routeWeb(); err != nil {
		return nil, errors.Join(err, ln.Close(), s.witness.close())
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	s.tasks.Go(func() {
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			cfg.Logger.Error("the stand-in stopped serving", "error", err)
		}
	})
	return s, nil
}

func newServer(cfg Config, host string) *Server {
	s := &Server{cfg: cfg, host: host, url: "http://" + host, changed: make(chan struct{}), world: newWorld(),
		api: newRouter(allRoutes()), md: newMarkdown()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

func (cfg Config) withDefaults() Config {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.RateLimit == 0 {
		cfg.RateLimit = 5000
	}
	if cfg.DeliveryTimeout == 0 {
		cfg.DeliveryTimeout = 10 * time.Second
	}
	return cfg
}

func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	return err
}

// URL is the address of the web pages and of git, without a trailing slash.
func (s *Server) URL() string { return s.url }

// Close ends all requests and deliveries under way and returns when they are gone.
func (s *Server) Close() error {
	s.stop()
	s.faults.clear()
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	s.tasks.Wait()
	return errors.Join(err, s.witness.close())
}

// now is the clock at GitHub's resolution: all its timestamps are whole seconds.
func (s *Server) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Second) }

// touch tells everyone who waits that the world has changed. The lock is held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait returns nil as soon as cond holds. It asks again after each change of the world and each
// webhook delivery, never on a timer. cond may call any reading method of the Server.
func (s *Server) Wait(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errors.New("the stand-in was closed")
		}
	}
}
