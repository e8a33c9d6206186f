package gate_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/gate"
)

// archive writes a .tar.gz with these entries and returns its path.
func archive(t *testing.T, entries ...*tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	zipped, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	w := tar.NewWriter(zipped)
	for _, e := range entries {
		content := e.PAXRecords["TEST.content"]
		e.PAXRecords = nil
		if e.Size == 0 {
			e.Size = int64(len(content))
		}
		if err := w.WriteHeader(e); err != nil {
			t.Fatal(err)
		}
		zeros := make([]byte, 1<<20)
		for left := e.Size; left > 0; {
			part := zeros[:min(left, int64(len(zeros)))]
			if content != "" {
				part = []byte(content)
			}
			n, err := w.Write(part)
			if err != nil {
				t.Fatal(err)
			}
			left -= int64(n)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "set.tar.gz", b.Bytes())
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), filepath.FromSlash(name))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func entry(name, content string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, PAXRecords: map[string]string{"TEST.content": content}}
}

// packed is the sound set as entries, with a prefix before each name.
func packed(prefix string) []*tar.Header {
	var entries []*tar.Header
	for _, name := range slices.Sorted(maps.Keys(sound)) {
		entries = append(entries, entry(prefix+name, sound[name]))
	}
	return entries
}

// unpacked writes files into a directory and returns it.
func unpacked(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func digestOf(t *testing.T, fsys fs.FS) string {
	t.Helper()
	set, err := gate.Load("set", fsys)
	if err != nil {
		t.Fatal(err)
	}
	return set.Digest()
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := &tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700}
	global := &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "a commit"}}
	more := []*tar.Header{entry("/.manifest", `{"revision": "7"}`), entry("/.signatures.json", `{}`), entry("/policy.wasm", "x"), entry("README.md", "# Policies"),
		entry("plan/tls/tls_test.rego", "package x"), entry(".git/x.json", "{")}
	want := digestOf(t, files(sound))
	for name, path := range map[string]string{
		"directory":              unpacked(t, sound),
		"directory with others":  unpacked(t, with(sound, map[string]string{"README.md": "#", ".git/x.json": "{", "plan/x_test.rego": "package x"})),
		"archive":                archive(t, packed("")...),
		"archive of a directory": archive(t, append([]*tar.Header{dir}, packed("./")...)...),
		"archive of git":         archive(t, append([]*tar.Header{global}, packed("")...)...),
		"bundle":                 archive(t, append(packed("/"), more...)...),
	} {
		fsys, err := gate.Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := digestOf(t, fsys); got != want {
			t.Errorf("%s: digest %s; want the one of the files, %s", name, got, want)
		}
	}
}

func TestOpenKeepsWhatIsMisspelt(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"directory": unpacked(t, with(sound, map[string]string{"plan/x.REGO": "package x"})),
		"archive":   archive(t, append(packed(""), entry("plan/x.REGO", "package x"))...),
	} {
		fsys, err := gate.Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = gate.Load("set", fsys)
		wantFault(t, err, "set/plan/x.REGO of the policies ends in .REGO")
	}
}

// Each of these differs from a set that opens in the one entry that is wrong.
//
// Covers: R38
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	with := func(e ...*tar.Header) string { return archive(t, append(packed(""), e...)...) }
	whole, err := os.ReadFile(archive(t, packed("")...))
	if err != nil {
		t.Fatal(err)
	}
	link := unpacked(t, sound)
	if err := os.Symlink(t.TempDir(), filepath.Join(link, "plan", "more")); err != nil {
		t.Fatal(err)
	}
	var many []*tar.Header
	for i := range 10_001 {
		many = append(many, entry(fmt.Sprintf("plan/%d.json", i), "{}"))
	}
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none"):           "no such file",
		write(t, "set.zip", []byte("PK")):            "neither a directory nor a .tar.gz",
		write(t, "set.tar.gz", []byte("no gzip")):    "unzip",
		write(t, "set.tar.gz", whole[:len(whole)/2]): "unexpected EOF",
		link: "plan/more is a link",
		with(&tar.Header{Typeflag: tar.TypeSymlink, Name: "plan/more", Linkname: "/etc"}):            "plan/more is a link",
		with(&tar.Header{Typeflag: tar.TypeLink, Name: "plan/x.json", Linkname: "lib/words.rego"}):   "plan/x.json is a link",
		with(&tar.Header{Typeflag: tar.TypeFifo, Name: "plan/x.json"}):                               "no ordinary file",
		with(entry("../x.rego", "package x")):                                                        `"../x.rego" leads out of it`,
		with(entry("/../x.rego", "package x")):                                                       "leads out of it",
		with(entry("plan/../../x.rego", "package x")):                                                "leads out of it",
		with(entry("//etc/x.rego", "package x")):                                                     "leads out of it",
		with(entry(`..\x.rego`, "package x")):                                                        "leads out of it",
		with(entry("plan/tls/tls.rego", "package plan.tls")):                                         "holds plan/tls/tls.rego twice",
		with(&tar.Header{Typeflag: tar.TypeReg, Name: "plan/x.json", Mode: 0o600, Size: 16<<20 + 1}): "plan/x.json is larger than 16 MiB",
		with(&tar.Header{Typeflag: tar.TypeReg, Name: "plan/x.bin", Mode: 0o600, Size: 256 << 20}):   "unpacks to more than 256 MiB",
		with(many...): "more than 10000 files",
	} {
		_, err := gate.Open(path)
		wantFault(t, err, want)
	}
}

// Covers: R38
func TestOpenPinned(t *testing.T) {
	t.Parallel()
	pin := digestOf(t, files(sound))
	other := "sha256:" + strings.Repeat("0", 64)
	waivers, moved := with(sound, map[string]string{"waivers.yaml": "waivers: []\n"}), map[string]string{}
	for name, text := range sound {
		moved["policies/"+name] = text
	}
	tests := map[string]struct {
		path, pin string
		want      []string // parts of the refusal
	}{
		"archive":           {archive(t, packed("")...), pin, nil},
		"directory":         {unpacked(t, sound), pin, nil},
		"without a pin":     {archive(t, packed("")...), "", []string{"is not given; it is " + pin + " now"}},
		"another pin":       {archive(t, packed("")...), other, []string{"have the digest " + pin + ", and not " + other}},
		"half a pin":        {archive(t, packed("")...), pin[:20], []string{"have the digest " + pin}},
		"one comment more":  {unpacked(t, with(sound, map[string]string{"lib/words.rego": sound["lib/words.rego"] + "# x\n"})), pin, []string{"have the digest sha256:", pin}},
		"one level too low": {archive(t, packed("policies/")...), digest(t, moved), []string{"hold nothing below source, plan or apply"}},
		"nothing":           {t.TempDir(), digest(t, nil), []string{"hold nothing below source, plan or apply"}},
		"with waivers":      {unpacked(t, waivers), digest(t, waivers), []string{"hold waivers.yaml"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys, err := gate.OpenPinned(test.path, test.pin)
			if test.want == nil {
				if err != nil || digestOf(t, fsys) != pin {
					t.Errorf("OpenPinned: %v; want the set", err)
				}
				return
			}
			for _, want := range test.want {
				wantFault(t, err, want)
			}
		})
	}
}

func digest(t *testing.T, content map[string]string) string {
	t.Helper()
	src, err := gate.Read("set", files(content))
	if err != nil {
		t.Fatal(err)
	}
	return src.Digest
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	over := map[string]string{
		"plan/tls/parameters.yaml": "parameters:\n  minimum: 1.3\n",
		"plan/logs/logs.rego":      "package plan.logs\n\ndeny contains \"x\" if input.x\n",
	}
	fsys, err := gate.Overlay(files(sound), files(over))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digestOf(t, fsys), digestOf(t, files(with(sound, over))); got != want {
		t.Errorf("digest %s; want that of the files together, %s", got, want)
	}
	same, err := gate.Overlay(files(sound), files(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digestOf(t, files(sound)), digestOf(t, same)); diff != "" {
		t.Errorf("an empty overlay changes the set (-want +got):\n%s", diff)
	}
}

// What an overlay does to the set below is judged as any set is.
//
// Covers: T62
func TestOverlayThatLeavesNoRules(t *testing.T) {
	t.Parallel()
	only := with(sound, map[string]string{"apply/four_eyes.rego": ""})
	tests := map[string]struct {
		over map[string]string
		want string // empty: the set loads
	}{
		"another rule":               {map[string]string{"plan/tls/tls.rego": "package plan.tls\n\nimport data.plan.tls.parameters\n\ndeny contains \"x\" if input.x > parameters.minimum\n"}, ""},
		"rule emptied":               {map[string]string{"plan/tls/tls.rego": "package plan.tls\n"}, "define no deny, violation or warn rule"},
		"parameters emptied":         {map[string]string{"plan/tls/parameters.yaml": "{}\n"}, "which neither a rule nor a data file defines"},
		"the same value twice":       {map[string]string{"plan/tls/more.yaml": "parameters:\n  minimum: 1.0\n"}, "collides with another data file"},
		"the same value in the root": {map[string]string{"data.json": `{"plan": {"tls": {"parameters": {"minimum": 1.0}}}}`}, "collides with another data file"},
	}
	for name, test := range tests {
		fsys, err := gate.Overlay(files(only), files(test.over))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = gate.Load("set", fsys)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v; want a set", name, err)
			}
			continue
		}
		wantFault(t, err, test.want)
	}
}
