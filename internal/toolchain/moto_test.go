package toolchain_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/toolchain"
)

// answers is a Python that has the emulator in some version.
func answers(version string) string { return "echo " + version + "; echo /real/python" }

func TestMotoFound(t *testing.T) {
	dir := onlyPath(t)
	for _, c := range []struct {
		script string
		fits   bool
	}{
		{answers("5.2.1"), true},
		{answers("5.2.9"), true},
		{answers("5.2.0"), false},
		{answers("5.3.0"), false},
		{"exit 1", false},
	} {
		t.Run(c.script, func(t *testing.T) {
			program(t, dir, "python3", c.script)
			found, err := toolchain.Ensure(t.Context(), offline(t), toolchain.Moto)
			if !c.fits {
				wantFault(t, err, "could not be installed")
			} else if err != nil || found.Python != "/real/python" {
				t.Errorf("found %q, %v, want the interpreter's own path", found.Python, err)
			}
		})
	}
}

func TestMotoConfigured(t *testing.T) {
	dir := onlyPath(t)
	python := program(t, dir, "mine", "exit 1")
	found, err := toolchain.Ensure(t.Context(), toolchain.Config{Python: python}, toolchain.Moto)
	if err != nil || found.Python != python {
		t.Errorf("found %q, %v, want %q unasked", found.Python, err, python)
	}
	_, err = toolchain.Ensure(t.Context(), toolchain.Config{Python: python + "x"}, toolchain.Moto)
	wantFault(t, err, "There is no Python at")
}

// fakePython has no emulator. Asked for a virtual environment, it makes one whose pip is %s, and
// whose Python has the emulator.
const fakePython = `test "$1 $2" = "-m venv" || exit 1
mkdir -p "$3/bin"
cat > "$3/bin/python" <<'END'
#!/bin/sh
case "$*" in
*pip*) %s;;
*) echo 5.2.1; echo "$0";;
esac
END
chmod +x "$3/bin/python"`

func TestMotoInstalled(t *testing.T) {
	dir := onlyPath(t)
	program(t, dir, "python3", strings.Replace(fakePython, "%s", "echo no route to PyPI; exit 1", 1))
	cfg := offline(t)
	_, err := toolchain.Ensure(t.Context(), cfg, toolchain.Moto)
	wantFault(t, err, "could not be installed")
	if !strings.Contains(err.Error(), "no route to PyPI") {
		t.Errorf("error is %q, want what pip said", err)
	}
	empty(t, cfg.CacheDir)

	asked := filepath.Join(t.TempDir(), "asked")
	program(t, dir, "python3", strings.Replace(fakePython, "%s", "echo x >> "+asked, 1))
	for range 2 {
		found, err := toolchain.Ensure(t.Context(), cfg, toolchain.Moto)
		if want := filepath.Join(cfg.CacheDir, "moto-5.2.1", "bin", "python"); err != nil || found.Python != want {
			t.Fatalf("found %q, %v, want %q", found.Python, err, want)
		}
	}
	if got := len(read(t, asked)); got != len("x\n") {
		t.Errorf("pip ran %d times, want once", got/len("x\n"))
	}
}
