package hclsource_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/tollgate/tollgate/internal/hclsource"
)

// fixture is a repository written as one text, with a line "-- path --" before each file.
func fixture(archive string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		fsys[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return fsys
}

func load(t *testing.T, archive, dir string) *hclsource.Module {
	t.Helper()
	m, err := hclsource.Load(fixture(archive), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var markPattern = regexp.MustCompile(`@([a-z0-9-]+)`)

// marks are the lines of a fixture that hold "@name", by name.
func marks(archive string) map[string]string {
	found := map[string]string{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		for i, line := range strings.Split(string(f.Data), "\n") {
			for _, m := range markPattern.FindAllStringSubmatch(line, -1) {
				found[m[1]] = fmt.Sprintf("%s:%d", f.Name, i+1)
			}
		}
	}
	return found
}

// located runs Locate and names the marks on whose lines the locations begin.
func located(m *hclsource.Module, archive, address, attribute string) []string {
	names := map[string]string{}
	for name, line := range marks(archive) {
		names[line] = name
	}
	var got []string
	for _, l := range m.Locate(address, attribute) {
		name, ok := names[l.String()]
		if !ok {
			name = l.String()
		}
		got = append(got, name)
	}
	return got
}

// locateCase is a question to Locate and the marks of the answer, in order.
type locateCase struct {
	address   string
	attribute string
	want      []string
}

func testLocate(t *testing.T, archive, dir string, cases []locateCase) {
	t.Helper()
	m := load(t, archive, dir)
	for _, c := range cases {
		if got := located(m, archive, c.address, c.attribute); !slices.Equal(got, c.want) {
			t.Errorf("%s %s:\n got %q\nwant %q", c.address, c.attribute, got, c.want)
		}
	}
}
