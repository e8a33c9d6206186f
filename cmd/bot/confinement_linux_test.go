package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/confine"
)

// A machine that can make no rooms is found inside one. A server does not start there unless it is told
// in so many words that it goes without.
//
// Covers: T39
func TestServeOnAMachineThatCannotConfine(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := serve(t, file(t, "key.pem", rsaKey(t)), file(t, "secret", strings.Repeat("s", 32)))
	var seen []string
	for _, a := range args[1:] {
		if _, path, ok := strings.Cut(a, "=/"); ok {
			seen = append(seen, "/"+path)
		}
	}
	bot := func(further ...string) (int, string) {
		r, err := confine.OpenSupervised(self)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.Enter(confine.Plan{ReadOnly: []string{filepath.Dir(self)}, Writable: seen}); err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		// A server that starts is asked to stop when it serves.
		script := `"$0" "$@" & p=$!; while kill -0 $p 2>/dev/null && ! grep -q '"msg":"serving"' /proc/$$/fd/2; do sleep 0.05; done; kill $p 2>/dev/null; wait $p`
		res, err := r.Run(confine.Command{Path: "/bin/sh", Args: append([]string{"-c", script, self}, append(slices.Clone(args), further...)...),
			Env: []string{"BE_BOT=1", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"}, Dir: "/"}, out, out)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return res.Exit, string(text)
	}
	status, said := bot()
	for _, want := range []string{"Error: This machine cannot confine what a plan runs.", "sysctl -w user.max_user_namespaces", "--sandbox=off", "Cause: "} {
		if status != 2 || !strings.Contains(said, want) {
			t.Errorf("exit status %d, %q is not said:\n%s", status, want, said)
		}
	}
	if status, said := bot("--sandbox=off"); status != 0 || !strings.Contains(said, "the sandbox is off") {
		t.Errorf("told to go without, it ends with exit status %d:\n%s", status, said)
	}
}

// The demo runs nobody's code but its own. It goes on, and says that it goes without.
func TestDemoSaysThatItGoesWithout(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := demo{out: &out}
	if args := d.walls(t.Context(), "/bin/false"); !slices.Equal(args, []string{"--sandbox=off"}) {
		t.Errorf("%q", args)
	}
	for _, want := range []string{"cannot confine", "goes on without", "What would help", "Cause: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, out.String())
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d.out = io.Discard
	if args := d.walls(t.Context(), self); len(args) != 0 {
		t.Errorf("where the machine can, the demo goes without: %q", args)
	}
}
