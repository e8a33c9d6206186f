package judge_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/judge"
)

// TestMain lets the test binary play "bot judge".
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "judge" {
		os.Exit(judge.Main())
	}
	os.Exit(m.Run())
}

// newJudge has small limits, in which everything sound in these tests fits many times over.
func newJudge(t *testing.T) *judge.Judge {
	t.Helper()
	j, err := judge.New(judge.Config{Command: []string{os.Args[0], "judge"}, Time: 5 * time.Second, Memory: 200 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// source reads a set with one file per pair of name and text.
func source(t *testing.T, name string, files map[string]string) *gate.Source {
	t.Helper()
	fsys := fstest.MapFS{}
	for file, text := range files {
		fsys[file] = &fstest.MapFile{Data: []byte(text)}
	}
	src, err := gate.ReadWithTests(name, fsys)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func wantFault(t *testing.T, err error, want string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("error is %v; want a fault that says %q", err, want)
	}
	if !strings.Contains(f.Text(), want) {
		t.Errorf("error says %q; want it to say %q", f.Text(), want)
	}
}

const plan = `{"format_version": "1.2", "planned_values": {}, "resource_changes": []}`

func TestQuick(t *testing.T) {
	j := newJudge(t)
	src := source(t, "set", map[string]string{"plan/x.rego": "package x\n\ndeny contains \"no\"\n"})
	r, err := j.Plan(t.Context(), []*gate.Source{src}, strings.NewReader(plan))
	t.Logf("%+v %v", r, err)
}
