package ghsim

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

const actingCookie = "acting_as"

// routeWeb serves the pages for people. They are plain HTML; the script only keeps them fresh.
func (s *Server) routeWeb() error {
	var err error
	s.templates, err = template.New("").Funcs(template.FuncMap{
		"ago":   func(at time.Time) string { return ago(s.now(), at) },
		"iso":   func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"short": func(sha string) string { return sha[:min(7, len(sha))] },
	}).ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return fmt.Errorf("parse pages: %w", err)
	}
	own, pages := http.NewServeMux(), http.NewServeMux()
	own.HandleFunc("GET /-/style.css", s.asset("page/style.css", "text/css; charset=utf-8"))
	own.HandleFunc("GET /-/page.js", s.asset("page/page.js", "text/javascript; charset=utf-8"))
	own.HandleFunc("GET /-/events", s.streamChanges)
	own.HandleFunc("POST /-/act-as", s.actAs)
	own.HandleFunc("GET /avatars/u/{id}", s.avatar)
	pages.HandleFunc("GET /{$}", s.showHome)
	pages.HandleFunc("GET /login/oauth/authorize", s.askToAuthorize)
	pages.HandleFunc("POST /login/oauth/authorize", s.authorize)
	pages.HandleFunc("GET /{owner}/{repo}", s.showPulls)
	pages.HandleFunc("GET /{owner}/{repo}/pulls", s.showPulls)
	pages.HandleFunc("GET /{owner}/{repo}/pull/{number}", s.showPull)
	pages.HandleFunc("GET /{owner}/{repo}/pull/{number}/{tab}", s.showPull)
	pages.HandleFunc("POST /{owner}/{repo}/pull/{number}/{verb}", s.actOnPull)
	pages.HandleFunc("GET /{owner}/{repo}/issues/{number}", s.showIssue)
	pages.HandleFunc("GET /{owner}/{repo}/runs/{id}", s.showRun)
	pages.HandleFunc("POST /{owner}/{repo}/runs/{id}/{verb}", s.actOnRun)
	pages.HandleFunc("/", s.gone)
	// Two, because one mux refuses /{owner}/{repo}/pulls beside /avatars/u/{id}.
	both := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/-/") || strings.HasPrefix(r.URL.Path, "/avatars/") {
			own.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
	// A page elsewhere must not press buttons here, though it is only a stand-in.
	s.web = http.NewCrossOriginProtection().Handler(withPolicy(both))
	return nil
}

// withPolicy forbids everything that the pages don't need, because they show other people's texts.
func withPolicy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy("'self'"))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// pagePolicy lets forms lead to the given sources only.
func pagePolicy(forms string) string {
	return "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action " + forms + "; base-uri 'none'; frame-ancestors 'none'"
}

func (s *Server) asset(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		data, err := pageFiles.ReadFile(name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(data)
	}
}

// render executes a template into memory first, so that a failure is a status and not half a page.
func (s *Server) render(w http.ResponseWriter, status int, name string, view any) {
	var out bytes.Buffer
	if err := s.templates.ExecuteTemplate(&out, name, view); err != nil {
		s.cfg.Logger.Error("render page", "page", name, "error", err)
		http.Error(w, "The page could not be rendered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// acting is the person chosen on the page, the first one by default; nil if there is nobody.
func (s *Server) acting(r *http.Request) *account {
	if c, err := r.Cookie(actingCookie); err == nil {
		if a := s.account(c.Value); a != nil && a.kind == "User" {
			return a
		}
	}
	for _, a := range byID(s.accounts) {
		if a.kind == "User" {
			return a
		}
	}
	return nil
}

func (s *Server) frame(r *http.Request, at *repo, title string) frameView {
	f := frameView{Title: title, People: s.people(at), Path: r.URL.RequestURI()}
	if a := s.acting(r); a != nil {
		f.Acting = s.personView(a, at)
	}
	return f
}

func (s *Server) actAs(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: actingCookie, Value: r.FormValue("login"), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	back := r.FormValue("back")
	if !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") {
		back = "/"
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// avatar draws a person's initial on a colour of their own.
func (s *Server) avatar(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	a := s.accounts[id]
	if a == nil {
		http.NotFound(w, r)
		return
	}
	shape := `<circle cx="20" cy="20" r="20" fill="hsl(%d 45%% 46%%)"/>`
	if a.kind == "Bot" {
		shape = `<rect width="40" height="40" rx="10" fill="hsl(%d 40%% 38%%)"/>`
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">`+shape+
		`<text x="20" y="27" font-family="system-ui,sans-serif" font-size="19" font-weight="600" fill="#fff" text-anchor="middle">%s</text></svg>`,
		(a.id*67)%360, template.HTMLEscapeString(strings.ToUpper(a.login[:1])))
}

// streamChanges tells the page, by server-sent events, that it is out of date.
func (s *Server) streamChanges(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if _, err := fmt.Fprint(w, "data: changed\n\n"); err != nil || flush.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// errGone says that a page is about something that doesn't exist.
var errGone = errors.New("there is no such thing here")

func (s *Server) gone(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.frame(r, nil, "Not found")
	s.mu.Unlock()
	f.Problem = errGone.Error()
	s.render(w, http.StatusNotFound, "message.html", f)
}
