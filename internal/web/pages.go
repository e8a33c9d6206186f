package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/livelog"
	"github.com/tollgate/tollgate/internal/report"
)

//go:embed templates
var templates embed.FS

// parse reads each page with the frame around it.
func parse() map[string]*template.Template {
	out := map[string]*template.Template{}
	for _, n := range []string{"index.html", "run.html", "execution.html", "error.html", "signedout.html"} {
		t := template.New("frame.html").Funcs(funcs)
		out[n] = template.Must(t.ParseFS(templates, "templates/frame.html", "templates/parts.html", "templates/"+n))
	}
	return out
}

var funcs = template.FuncMap{
	"short":   func(sha string) string { return sha[:min(7, len(sha))] },
	"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"counts":  counts,
	"word":    word,
	"verb":    func(a change.Action) string { return verbs[a] },
	"kind":    func(a change.Action) string { return kinds[a] },
	"solved":  report.ResolutionWords,
	"spans":   spans,
	"join":    func(s []string) string { return strings.Join(s, ", ") },
	"place":   place,
	"link":    link,
}

// view is what every page's template gets.
type view struct {
	Title   string
	Refresh bool // the page changes by itself
	Person  string
	Token   string // of the forms of the person's session
	Body    any
}

// render writes a page whole or not at all. All of it is cleaned, so that no template can forget to.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	who := viewerOf(r)
	v.Person, v.Token = who.person.Login, who.formToken()
	var b bytes.Buffer
	if err := s.pages[name].Execute(&b, v); err != nil {
		s.Log.Error("template failed", "template", name, "error", err)
		http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, report.Clean(b.String())) // the reader went away
}

func (s *server) index(w http.ResponseWriter, r *http.Request) error {
	type row struct {
		Run
		Age, Took string
	}
	body := struct {
		List bool
		Runs []row
	}{List: s.Audience != Everyone} // where the address guards a page, a list would give it away
	if body.List {
		runs, err := s.source(r).Runs(r.Context(), maxRuns, anyRepo)
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		for _, run := range runs {
			body.Runs = append(body.Runs, row{run, s.age(run.Created), took(run.Created, run.Ended)})
		}
	}
	s.render(w, r, http.StatusOK, "index.html", view{Title: "Runs", Body: body})
	return nil
}

func anyRepo(change.Repo) (bool, error) { return true, nil }

// runView is a run with what its page derives.
type runView struct {
	Run
	Age, Took string
	Plans     []planView
	Preview   *previewView
}

// previewView is what changed policies would do, with the pages of the lines.
type previewView struct {
	*change.Preview
	Projects []projectPreview
}

type projectPreview struct {
	change.ProjectPreview
	DeniedGroups, AllowedGroups []groupView
}

func preview(p report.Pull) *previewView {
	if p.Preview == nil {
		return nil
	}
	v := &previewView{Preview: p.Preview}
	for _, project := range p.Preview.Projects {
		v.Projects = append(v.Projects, projectPreview{project,
			groups(report.Groups(project.Denied.Findings), p.Pull, p.Pull.HeadSHA), groups(report.Groups(project.Allowed.Findings), p.Pull, p.Pull.HeadSHA)})
	}
	return v
}

type planView struct {
	report.Plan
	Dangers  []change.ResourceChange
	Sections []sectionView
	Lines    []report.Line
	More     int // lines of the plan that the page leaves to its text
	Log      logView
	TextURL  string
}

// sectionView is a section of the findings with the pages of their lines.
type sectionView struct {
	report.Section
	Groups []groupView
}

type groupView struct {
	report.Group
	FileURL string
}

func sections(p report.Plan) []sectionView {
	var out []sectionView
	for _, s := range report.Sections(p.Findings) {
		out = append(out, sectionView{s, groups(s.Groups, p.Pull, p.HeadSHA)})
	}
	return out
}

func groups(gs []report.Group, pull change.Pull, sha string) []groupView {
	var out []groupView
	for _, g := range gs {
		out = append(out, groupView{g, report.FileURL(pull, sha, g.Finding)})
	}
	return out
}

// logView is the end of a log and where the rest of it is.
type logView struct {
	Text   string
	Cut    bool
	Gone   bool // it was kept for long enough
	RawURL string
	Stream string // where what follows is streamed, or empty if nothing will
}

const (
	maxLogBytes  = 256 << 10
	maxPlanLines = 4_000
)

func (s *server) run(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	run, err := s.source(r).Run(r.Context(), id)
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	v := runView{Run: run, Age: s.age(run.Created), Took: took(run.Created, run.Ended), Preview: preview(run.Report)}
	for _, p := range run.Report.Plans {
		base := "/runs/" + url.PathEscape(id)
		pv := planView{Plan: p, Dangers: dangers(p.Summary), Sections: sections(p), TextURL: base + "/plan/" + url.PathEscape(p.Project.Name)}
		if p.Text != "" {
			pv.Lines = report.Lines(p.Text)
			pv.More = max(0, len(pv.Lines)-maxPlanLines)
			pv.Lines = pv.Lines[:len(pv.Lines)-pv.More]
		}
		log, err := s.source(r).RunLog(r.Context(), id, p.Project.Name)
		if pv.Log, err = logEnd(log, err, base+"/log/"+url.PathEscape(p.Project.Name)); err != nil {
			return err
		}
		v.Plans = append(v.Plans, pv)
	}
	title := fmt.Sprintf("%s #%d", run.Report.Pull.Repo.FullName(), run.Report.Pull.Number)
	s.render(w, r, http.StatusOK, "run.html", view{Title: title, Refresh: !run.Report.State.Done(), Body: v})
	return nil
}

type executionView struct {
	Execution
	Age, Took string
	Resolved  string // how long ago, if it was
	Dangers   []change.ResourceChange
	Log       logView
}

func (s *server) execution(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	e, err := s.source(r).Execution(r.Context(), id)
	if err != nil {
		return fmt.Errorf("read execution: %w", err)
	}
	v := executionView{Execution: e, Age: s.age(e.Created), Took: took(e.Created, e.Ended), Resolved: s.age(e.Report.Resolved.At), Dangers: dangers(e.Report.Summary)}
	log, err := s.source(r).ExecutionLog(r.Context(), id)
	if v.Log, err = logEnd(log, err, "/executions/"+url.PathEscape(id)+"/log"); err != nil {
		return err
	}
	title := "Apply of " + e.Report.Execution.Project.Name
	s.render(w, r, http.StatusOK, "execution.html", view{Title: title, Refresh: !e.Report.Execution.State.Done(), Body: v})
	return nil
}

// logEnd reads the end of a log for a page. err is the source's; a log that is not there yet is empty.
func logEnd(log Log, err error, address string) (logView, error) {
	if isNotFound(err) {
		return logView{}, nil
	}
	if err != nil {
		return logView{}, fmt.Errorf("find log: %w", err)
	}
	if log.Gone {
		return logView{Gone: true}, nil
	}
	done := log.Done()
	tail, start, err := log.tail(maxLogBytes + int64(log.Mask.Reach()))
	if err != nil {
		return logView{}, err
	}
	log.Mask.Fill(tail)
	if start > 0 { // a secret may have begun before it
		cut := min(log.Mask.Reach(), len(tail))
		cut += bytes.IndexByte(tail[cut:], '\n') + 1
		tail, start = tail[cut:], start+int64(cut)
	}
	if !done { // the stream begins with a whole line
		tail = tail[:bytes.LastIndexByte(tail, '\n')+1]
	}
	v := logView{Text: string(tail), Cut: start > 0, RawURL: address}
	if !done {
		v.Stream = fmt.Sprintf("%s/stream?from=%d", address, start+int64(len(tail)))
	}
	return v, nil
}

// tail is livelog.Tail, of whichever of both there is.
func (l Log) tail(limit int64) ([]byte, int64, error) {
	text, err := l.sealed()
	if err != nil {
		return nil, 0, err
	}
	if text == nil {
		return livelog.Tail(l.Path, limit)
	}
	cut := max(0, int64(len(text))-limit)
	if cut > 0 {
		cut += int64(bytes.IndexByte(text[cut:], '\n')) + 1
	}
	return text[cut:], cut, nil
}

func (l Log) sealed() ([]byte, error) {
	if l.Sealed == nil {
		return nil, nil
	}
	return l.Sealed()
}

func (s *server) planText(w http.ResponseWriter, r *http.Request) error {
	run, err := s.source(r).Run(r.Context(), r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	for _, p := range run.Report.Plans {
		if p.Project.Name == r.PathValue("project") {
			asText(w)
			_, _ = io.WriteString(w, report.Clean(p.Text)) // the reader went away
			return nil
		}
	}
	return ErrNotFound
}

// asText makes the answer inert even in a browser that guesses.
func asText(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

func dangers(s change.PlanSummary) []change.ResourceChange {
	var out []change.ResourceChange
	for _, a := range []change.Action{change.Delete, change.Replace, change.Forget} {
		for _, c := range s.Changes {
			if c.Action == a {
				out = append(out, c)
			}
		}
	}
	return out
}

var verbs = map[change.Action]string{
	change.Delete: "destroy", change.Replace: "replace", change.Forget: "forget", change.Create: "create",
	change.Update: "update", change.Read: "read", change.NoOp: "keep",
}

// kinds are the classes that colour what is done to a resource.
var kinds = map[change.Action]string{change.Delete: "bad", change.Replace: "bad", change.Forget: "bad", change.Create: "good", change.Update: "warn"}

// span is a piece of a sentence of ours, in which backticks stand around what is to be typed.
type span struct {
	Text string
	Code bool
}

func spans(s string) (out []span) {
	pieces := strings.Split(s, "`")
	if len(pieces)%2 == 0 { // one has no partner
		return []span{{Text: s}}
	}
	for i, p := range pieces {
		if p != "" {
			out = append(out, span{p, i%2 == 1})
		}
	}
	return out
}

// countView is one number of a plan; Kind is the class that colours it.
type countView struct {
	N          int
	What, Kind string
}

func counts(c change.Counts) []countView {
	var out []countView
	for _, v := range []countView{
		{c.Delete, "destroy", "bad"}, {c.Replace, "replace", "bad"}, {c.Forget, "forget", "bad"}, {c.Create, "create", "good"},
		{c.Update, "update", "warn"}, {c.Import, "import", ""}, {c.Move, "move", ""}, {c.Outputs, "outputs", ""},
	} {
		if v.N > 0 {
			out = append(out, v)
		}
	}
	return out
}

// word is an outcome in words; the class of the same name colours it.
func word(outcome string) string {
	switch outcome {
	case "success":
		return "passed"
	case "failure":
		return "not passed"
	case "in_progress":
		return "running"
	case "action_required":
		return "needs a person"
	}
	return outcome
}

// place is "file:line" of a finding.
func place(f change.Finding) string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

// link is the address if it is one of the web, and nothing otherwise.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.String()
}

func (s *server) age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := s.Now().Sub(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return report.Elapsed(to.Sub(from))
}
