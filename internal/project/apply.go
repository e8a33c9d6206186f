package project

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a server without time zones must not refuse what another accepts

	"github.com/goccy/go-yaml/ast"
)

// Apply says when and on whose word a plan is applied.
type Apply struct {
	On               []string // merge and comment; empty: never
	Approvals        int      // at least 1
	ApproverMayApply bool     // the approval of whoever asks for the apply counts
	Teams            []string // "org/team" in lower case; one approval from each
	Codeowners       bool     // the owners of every changed file have to approve
	Destructive      Destructive
	// Windows are the times at which applies are allowed, a list for each file that has any: one
	// window of every list has to be open.
	Windows [][]Window
	Freezes []Freeze
}

// Destructive is what plans need that delete, replace or forget something.
type Destructive struct {
	Approvals int // 0: as many as other plans
	Teams     []string
}

// Window is a part of some days of the week.
type Window struct {
	Days []string // mon to sun
	From string   // HH:MM
	To   string   // HH:MM, exclusive; 24:00 is the end of the day
	Zone string   // IANA name
}

// Freeze is a span of days on which nothing is applied.
type Freeze struct {
	From   string // YYYY-MM-DD
	Until  string // YYYY-MM-DD, the last day of it
	Zone   string
	Reason string
}

// And is what two sets of settings ask for together: the stricter word on each point.
func (a Apply) And(b Apply) Apply {
	a.On = slices.DeleteFunc(slices.Clone(a.On), func(on string) bool { return !slices.Contains(b.On, on) })
	a.Approvals = max(a.Approvals, b.Approvals)
	a.ApproverMayApply = a.ApproverMayApply && b.ApproverMayApply
	a.Teams = union(a.Teams, b.Teams, func(t string) string { return t })
	a.Codeowners = a.Codeowners || b.Codeowners
	a.Destructive.Approvals = max(a.Destructive.Approvals, b.Destructive.Approvals)
	a.Destructive.Teams = union(a.Destructive.Teams, b.Destructive.Teams, func(t string) string { return t })
	a.Windows = union(a.Windows, b.Windows, func(w []Window) string { return fmt.Sprint(w) })
	a.Freezes = union(a.Freezes, b.Freezes, func(f Freeze) string { return fmt.Sprint(f) })
	return a
}

// union appends what is new in b.
func union[T any](a, b []T, key func(T) string) []T {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.ContainsFunc(out, func(known T) bool { return key(known) == key(v) }) {
			out = append(out, v)
		}
	}
	return out
}

const (
	maxTeams   = 20
	maxTimes   = 50 // windows, or freezes
	maxReason  = 200
	dateLayout = time.DateOnly
)

func (r *reader) apply(n ast.Node, a *Apply) {
	r.mapping(n, "`apply`", nil, fields{
		"on": func(n ast.Node) {
			a.On = r.texts(n, "`apply.on`", oneOf(OnMerge, OnComment))
		},
		"approvals": func(n ast.Node) {
			// Never 0: somebody other than the author has to have agreed.
			a.Approvals = r.number(n, "`apply.approvals`", 1, maxApprovals)
		},
		"approver_may_apply": func(n ast.Node) { a.ApproverMayApply = r.boolean(n, "`apply.approver_may_apply`") },
		"teams":              func(n ast.Node) { a.Teams = r.teams(n, "`apply.teams`") },
		"codeowners":         func(n ast.Node) { a.Codeowners = r.boolean(n, "`apply.codeowners`") },
		"destructive":        func(n ast.Node) { r.destructive(n, &a.Destructive) },
		"windows": func(n ast.Node) {
			if windows := times(r, n, "`apply.windows`", r.window); len(windows) > 0 {
				a.Windows = [][]Window{windows}
			}
		},
		"freezes": func(n ast.Node) { a.Freezes = times(r, n, "`apply.freezes`", r.freeze) },
	})
}

func (r *reader) destructive(n ast.Node, d *Destructive) {
	r.mapping(n, "`apply.destructive`", nil, fields{
		"approvals": func(n ast.Node) { d.Approvals = r.number(n, "`apply.destructive.approvals`", 1, maxApprovals) },
		"teams":     func(n ast.Node) { d.Teams = r.teams(n, "`apply.destructive.teams`") },
	})
}

func (r *reader) boolean(n ast.Node, what string) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.fail(lineOf(n), "%s must be true or false", what)
		return false
	}
	return b.Value
}

// teams reads names of teams; GitHub knows them without regard to case.
func (r *reader) teams(n ast.Node, what string) []string {
	var out []string
	for _, t := range r.texts(n, what, checkTeam) {
		out = append(out, strings.ToLower(t))
	}
	if len(out) > maxTeams {
		r.fail(lineOf(n), "%s has more than %d entries", what, maxTeams)
	}
	return out
}

// times reads a list of windows or freezes. An empty one could mean always as well as never.
func times[T any](r *reader, n ast.Node, what string, read func(ast.Node) T) []T {
	items := r.list(n, what)
	if len(items) == 0 {
		r.fail(lineOf(n), "%s is empty: leave it out if applies are not restricted", what)
	}
	if len(items) > maxTimes {
		r.fail(lineOf(n), "%s has more than %d entries", what, maxTimes)
		return nil
	}
	out := make([]T, 0, len(items))
	for _, item := range items {
		out = append(out, read(item))
	}
	return out
}

func (r *reader) window(n ast.Node) Window {
	w, before := Window{Zone: "UTC"}, len(r.problems)
	r.mapping(n, "a window", []string{"days", "from", "to"}, fields{
		"days": func(n ast.Node) {
			w.Days = r.texts(n, "`days`", oneOf("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
		},
		"from": func(n ast.Node) { w.From = r.checked(n, "`from`", checkTime) },
		"to":   func(n ast.Node) { w.To = r.checked(n, "`to`", checkTime) },
		"zone": func(n ast.Node) { w.Zone = r.checked(n, "`zone`", checkZone) },
	})
	switch sound := len(r.problems) == before; {
	case sound && len(w.Days) == 0:
		r.fail(lineOf(n), "`days` names no day")
	case sound && w.From >= w.To:
		r.fail(lineOf(n), "a window has to end later on the day than it begins: write one that spans midnight as two")
	}
	return w
}

func (r *reader) freeze(n ast.Node) Freeze {
	f, before := Freeze{Zone: "UTC"}, len(r.problems)
	r.mapping(n, "a freeze", []string{"from", "until", "reason"}, fields{
		"from":   func(n ast.Node) { f.From = r.checked(n, "`from`", checkDate) },
		"until":  func(n ast.Node) { f.Until = r.checked(n, "`until`", checkDate) },
		"zone":   func(n ast.Node) { f.Zone = r.checked(n, "`zone`", checkZone) },
		"reason": func(n ast.Node) { f.Reason = r.checked(n, "`reason`", checkReason) },
	})
	if len(r.problems) == before && f.From > f.Until {
		r.fail(lineOf(n), "a freeze cannot end on %s, before it begins", f.Until)
	}
	return f
}

var (
	teamPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	timePattern = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)
	zonePattern = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)
)

func checkTeam(text string) string {
	if teamPattern.MatchString(text) {
		return ""
	}
	return "must be written `organisation/team`, with the team's name as it stands in its address"
}

func checkTime(text string) string {
	if timePattern.MatchString(text) {
		return ""
	}
	return "must be a time from 00:00 to 24:00"
}

func checkZone(text string) string {
	// LoadLocation knows more: "Local", and files by their path.
	if _, err := time.LoadLocation(text); err == nil && zonePattern.MatchString(text) && text != "Local" {
		return ""
	}
	return "is not the name of a time zone such as Europe/Berlin"
}

func checkDate(text string) string {
	if _, err := time.Parse(dateLayout, text); err == nil {
		return ""
	}
	return "must be a day such as 2027-01-31"
}

func checkReason(text string) string {
	if len(text) <= maxReason && strings.TrimSpace(text) == text && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return ""
	}
	return fmt.Sprintf("must be one line of at most %d bytes", maxReason)
}
