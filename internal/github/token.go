package github

import (
	"context"
	"net/http"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tollgate/tollgate/internal/redact"
)

// signed adds the installation's token to requests. The library asks for a new token with a lock held,
// each caller after the other and whatever their contexts say; while GitHub hangs, that takes a minute
// for each. Here one asks for all who wait, and whoever is called off goes.
type signed struct {
	auth   *ghinstallation.Transport
	known  *redact.Known
	asking singleflight.Group
}

// token is the one in use, or a new one.
func (s *signed) token(ctx context.Context) (string, error) {
	done := s.asking.DoChan("", func() (any, error) { return s.auth.Token(context.WithoutCancel(ctx)) })
	select {
	case r := <-done:
		token, _ := r.Val.(string)
		s.known.Add(redact.New(token))
		return token, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// RoundTrip implements http.RoundTripper.
func (s *signed) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, err := s.token(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	return s.auth.RoundTrip(req)
}
