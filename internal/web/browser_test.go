package web_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/toolchain/toolchaintest"
	"github.com/tollgate/tollgate/internal/web"
)

// browser is a tab of a headless Chromium, and what it complained about.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.ExecPath(toolchaintest.Chromium(t)),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded: // what the content security policy refuses is among these
		b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
	case *page.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "a dialog opens: "+e.Message)
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// waitText waits until the element's text holds want, also over a reload.
func (b *browser) waitText(selector, want string) {
	b.t.Helper()
	expression := fmt.Sprintf("(document.querySelector(%q)?.textContent ?? '').includes(%q)", selector, want)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		// While the page reloads there is no context to evaluate in.
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("%s never shows %q: %q", selector, want, evaluate[string](b, "document.body.innerText"))
		}
	}
}

func TestBrowserFollowsAnApplyToItsEnd(t *testing.T) {
	t.Parallel()
	l := newLog(t, "aws_lb.this: Modifying...\n")
	s := fixture(t, newLog(t, ""), l)
	s.after = map[string]web.Execution{exeID: execution(change.ExecApplied)}
	srv := serve(t, s, true)
	b := newBrowser(t)
	b.do(chromedp.Navigate(srv.URL + "/executions/" + exeID))
	b.waitText("pre.log", "Modifying...")
	for i := range 100 {
		l.write(fmt.Sprintf("aws_lb.this: Still modifying... <b>%d</b>\n", i))
	}
	b.waitText("pre.log", "Still modifying... <b>99</b>\n")
	if at := evaluate[bool](b, "(e => e.scrollTop + e.clientHeight >= e.scrollHeight - 30)(document.querySelector('pre.log'))"); !at {
		t.Error("the end of the log is out of view")
	}
	if n := evaluate[int](b, "document.querySelectorAll('pre.log b').length"); n != 0 {
		t.Errorf("%d elements made of the log's text", n)
	}
	l.write("Apply complete!\n")
	l.done.Store(true)
	b.waitText(".lead", "Applied: 1 destroyed")
	b.waitText("pre.log", "Apply complete!")
	if n := evaluate[int](b, "document.querySelectorAll('[data-src], script').length"); n != 0 {
		t.Error("the page of an ended apply still follows it")
	}
}

// Covers: T73
func TestBrowserRunsNothingOfHostileText(t *testing.T) {
	t.Parallel()
	all := strings.Join(hostile, " ")
	src := hostileSource(t, all)
	srv := serve(t, src, true)
	b := newBrowser(t) // complains of violations of the policy, of dialogs, and of what a script throws
	for _, path := range []string{"/", "/runs/" + runID, "/executions/" + exeID, "/runs/" + runID + "/log/" + url.PathEscape(all), "/runs/" + runID + "/plan/" + url.PathEscape(all)} {
		b.do(chromedp.Navigate(srv.URL + path))
		if n := evaluate[int](b, "document.querySelectorAll('img, iframe, object, embed, style, base, form, [onclick], [onerror], a[href^=javascript]').length"); n != 0 {
			t.Errorf("%s: %d elements that act", path, n)
		}
		if n := evaluate[int](b, "document.querySelectorAll('script:not([src^=\"/assets/\"])').length"); n != 0 {
			t.Errorf("%s: a script that is not ours", path)
		}
	}
}

// TestPagesFitEveryScreen also leaves pictures of all pages in the test's artifacts.
func TestPagesFitEveryScreen(t *testing.T) {
	t.Parallel()
	planLog := newLog(t, "Initializing the backend...\naws_lb.this: Refreshing state... [id="+fmt.Sprintf("%0200d", 7)+"]\n")
	planLog.done.Store(true)
	applyLog := newLog(t, "aws_lb.this: Modifying...\naws_lb.this: Still modifying... [10s elapsed]\n")
	src := fixture(t, planLog, applyLog)
	srv, company := serve(t, src, true), newCompany(t, src, false)
	b := newBrowser(t)
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"desktop-light", 1200, 800, "light"},
		{"desktop-dark", 1200, 800, "dark"},
		{"phone", 360, 740, "light"},
	} {
		b.do(chromedp.EmulateViewport(screen.width, screen.height))
		scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, scheme); err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{"index": "/", "run": "/runs/" + runID, "execution": "/executions/" + exeID, "unknown": "/executions/e-", "resolved": "/executions/e-applied", "error": "/none", "signedout": "/signedout"} {
			server := srv.URL
			if name == "signedout" { // where nobody signs in, nobody signs out
				server = company.URL
			}
			b.do(chromedp.Navigate(server + path))
			if name == "error" {
				b.forgive()
			}
			if wide := evaluate[int](b, "document.documentElement.scrollWidth - window.innerWidth"); wide > 0 {
				t.Errorf("%s is %d pixels too wide for %s", name, wide, screen.name)
			}
			picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), screen.name+"-"+name+".png"), picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// forgive forgets the complaint about the status of a page that was not found.
func (b *browser) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = nil
}
