package github_test

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

// Ten minutes off in either direction, GitHub takes what the App signs, and the App knows GitHub's
// time. The stand-in refuses what is issued in the future, or valid for more than ten minutes.
//
// Covers: R30
func TestAClockThatIsOffIsKnown(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		srv, err := ghsim.New(ghsim.Config{Dir: t.TempDir(), Clock: func() time.Time { return time.Now().Add(skew) }})
		must(t, err)
		t.Cleanup(func() { must(t, srv.Close()) })
		_, err = srv.CreateUser(ghsim.User{Login: "ann", Email: "ann@example.com"})
		must(t, err)
		_, err = srv.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "shop", Author: "ann"})
		must(t, err)
		sim, err := srv.CreateApp(ghsim.NewApp{Slug: "tollgate", Owner: "acme", Permissions: map[string]string{"metadata": "read"}, Key: privateKey()})
		must(t, err)
		app, err := github.New(github.Config{URL: srv.URL(), AppID: sim.ID, Key: redact.New(sim.PrivateKey)})
		must(t, err)
		if got := app.Skew(); got != 0 {
			t.Errorf("before the first answer: %v", got)
		}
		for range 2 { // the first may be what tells the time
			_, err = app.Self(t.Context())
		}
		if off := (app.Skew() - skew).Abs(); err != nil || off > time.Minute {
			t.Errorf("off by %v: %v, and taken for %v", skew, err, app.Skew())
		}
	}
}
