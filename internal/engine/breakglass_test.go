package engine

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

// What was asked for is confirmed by another person, in time, for the plan that people see, and once.
// Covers: T64, T77
func TestOpenGlass(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	ann, bob := change.User{ID: 1, Login: "ann"}, change.User{ID: 2, Login: "bob"}
	for name, c := range map[string]struct {
		edit      func(g *store.Glass)
		plan      string // as the person names it
		by        change.User
		cancelled time.Time
		newer     bool // a further one that is confirmed already
		fault     string
	}{
		"confirmed by another":      {},
		"at the last moment":        {edit: func(g *store.Glass) { g.AskedAt = now.Add(1 - change.GlassBox) }},
		"too late":                  {edit: func(g *store.Glass) { g.AskedAt = now.Add(-change.GlassBox) }, fault: "The time to confirm it is over."},
		"by the same person":        {by: ann, fault: "You have asked for it yourself."},
		"renamed since":             {by: change.User{ID: 1, Login: "other"}, fault: "You have asked for it yourself."},
		"another plan is named":     {plan: "00000000", fault: "not 00000000"},
		"asked for another effect":  {edit: func(g *store.Glass) { g.EffectDigest = "sha256:other" }, fault: "Nobody has asked"},
		"asked for another commit":  {edit: func(g *store.Glass) { g.HeadSHA = "older" }, fault: "Nobody has asked"},
		"asked for another project": {edit: func(g *store.Glass) { g.Project = "other" }, fault: "Nobody has asked"},
		"confirmed before":          {edit: func(g *store.Glass) { g.ConfirmedBy = bob }, fault: "It was confirmed already."},
		"cancelled since":           {cancelled: now, fault: "It was cancelled."},
		"cancelled before":          {cancelled: now.Add(-time.Hour)},
		"the newest one is used":    {newer: true, fault: "It was confirmed already."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := aPlan("p", "app", change.RunPassed)
			p.Summary.EffectDigest = "sha256:0123456789"
			g := store.Glass{ID: "g", Project: "app", HeadSHA: "head", EffectDigest: p.Summary.EffectDigest, Glass: change.Glass{AskedBy: ann, AskedAt: now.Add(-time.Minute)}}
			if c.edit != nil {
				c.edit(&g)
			}
			v := sees(nil, nil)
			v.pull.CancelledAt, v.glasses = c.cancelled, []store.Glass{g}
			if c.newer {
				used := g
				used.ID, used.ConfirmedBy = "n", bob
				v.glasses = []store.Glass{used, g}
			}
			by, plan := bob, "01234567"
			if c.by.ID != 0 {
				by = c.by
			}
			if c.plan != "" {
				plan = c.plan
			}
			got, flt := v.openGlass(github.Command{Project: "app", Plan: plan}, p, v.pull, by, now)
			var err error
			if flt != nil {
				err = flt
			}
			isFault(t, err, c.fault)
			if want := map[bool]string{true: "g"}[c.fault == ""]; got.ID != want {
				t.Errorf("confirms %q, want %q", got.ID, want)
			}
		})
	}
}
