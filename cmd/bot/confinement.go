package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/terraform"
)

// clouds are the hosts of the provider that the product is for: its API in every region.
var clouds = []string{"*.amazonaws.com", "*.amazonaws.com.cn", "*.api.aws"}

// sources are where init finds providers and modules beside the mirrors.
var sources = []string{"registry.terraform.io", "releases.hashicorp.com", "github.com", "codeload.github.com",
	"objects.githubusercontent.com", "release-assets.githubusercontent.com"}

// What one plan may use beside memory: more than any that was seen, and less than what harms the others.
const (
	maxDisk      = 4 << 30
	maxEntries   = 500_000
	maxProcesses = 512
	maxOpenFiles = 4096
)

// confinement says in which rooms Terraform runs, or nil if the operator has switched them off.
func confinement(ctx context.Context, s settings, environ []string, log *slog.Logger) (*terraform.Confinement, error) {
	if s.Sandbox == "off" {
		log.Warn("the sandbox is off: what a pull request contains runs with everything that this server can see and reach")
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if err := confine.Check(ctx, self); err != nil {
		return nil, cannotConfine(err)
	}
	c := &terraform.Confinement{Program: self, Limits: confine.Limits{Memory: int64(s.SandboxMemory) << 20, Disk: maxDisk, Entries: maxEntries,
		Processes: maxProcesses, OpenFiles: maxOpenFiles}}
	for _, path := range list(s.SandboxPaths) {
		path, writable := strings.CutSuffix(path, ":rw")
		if !filepath.IsAbs(path) {
			return nil, fault.New("A path of --sandbox-paths is not absolute: "+path+".", "", "Write it from the root on.")
		}
		if writable {
			c.Writable = append(c.Writable, filepath.Clean(path))
		} else {
			c.ReadOnly = append(c.ReadOnly, filepath.Clean(path))
		}
	}
	if c.Run, err = ways(s, environ); err != nil {
		return nil, err
	}
	c.Download = c.Run
	c.Download.Hosts = append(slices.Clone(c.Run.Hosts), sources...)
	return c, nil
}

// cannotConfine says why the server does not start on a machine that cannot make rooms.
func cannotConfine(cause error) error {
	return fault.Wrap(cause, "This machine cannot confine what a plan runs.",
		"A plan runs code of the pull request, which could then read the App's key, the database and the credentials of applies.",
		strings.Join(confine.Remedies(), "\n")+"\nIf everyone who can open a pull request may see all that anyway, say so with --sandbox=off.")
}

// ways are the ways out for plans and applies: the cloud, what the operator lists, and what the
// server's own environment tells Terraform to use.
func ways(s settings, environ []string) (confine.Egress, error) {
	e := confine.Egress{Hosts: slices.Clone(clouds)}
	add := func(hostport string) error {
		host, port, err := net.SplitHostPort(hostport)
		if err != nil {
			e.Hosts = append(e.Hosts, hostport)
			return nil
		}
		if host == "localhost" {
			host = "127.0.0.1"
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
			if !ip.Is4() {
				return errors.New("of this machine, only addresses of IPv4 can be listed")
			}
			if address := net.JoinHostPort(host, port); !slices.Contains(e.Loopback, address) {
				e.Loopback = append(e.Loopback, address)
			}
			return nil
		}
		e.Hosts = append(e.Hosts, hostport)
		return nil
	}
	for _, entry := range list(s.Egress) {
		if err := add(entry); err != nil {
			return e, fault.Wrap(err, "The host "+entry+" of --egress cannot be used.", "", "Write a name, or 127.0.0.1 with a port.")
		}
	}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Host == "":
		case strings.HasPrefix(name, "AWS_ENDPOINT_URL"), name == "AWS_CONTAINER_CREDENTIALS_FULL_URI":
			if err := add(withDefaultPort(u)); err != nil {
				return e, fault.Wrap(err, "The address in "+name+" cannot be used.", "", "Write a name, or 127.0.0.1 with a port.")
			}
		case name == "HTTPS_PROXY" || name == "https_proxy":
			e.Upstream = value
		}
	}
	return e, nil
}

func withDefaultPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "http" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return net.JoinHostPort(u.Hostname(), "443")
}
