package toolchain_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/tollgate/tollgate/internal/toolchain"
)

func TestTerraformOnPath(t *testing.T) {
	dir := onlyPath(t)
	for _, c := range []struct{ answer, refused string }{
		{`echo '{"terraform_version":"1.11.0"}'`, ""},
		{`echo '{"terraform_version":"1.14.3"}'`, ""},
		{`echo '{"terraform_version":"1.10.5"}'`, "Terraform on PATH is 1.10.5, and 1.11 or newer is needed."},
		{`exit 1`, "does not tell its version"},
	} {
		t.Run(c.answer, func(t *testing.T) {
			want := program(t, dir, "terraform", c.answer)
			found, err := toolchain.Ensure(t.Context(), toolchain.Config{}, toolchain.Terraform)
			switch {
			case c.refused != "":
				wantFault(t, err, c.refused)
			case err != nil:
				t.Error(err)
			case found.Terraform != want:
				t.Errorf("found %q, want %q", found.Terraform, want)
			}
		})
	}
}

func TestTerraformIsNotAskedForItsVersionIfConfigured(t *testing.T) {
	dir := onlyPath(t)
	asked := filepath.Join(t.TempDir(), "asked")
	path := program(t, dir, "my-terraform", "touch "+asked)
	for _, given := range []string{path, "my-terraform"} {
		found, err := toolchain.Ensure(t.Context(), toolchain.Config{Terraform: given}, toolchain.Terraform)
		if err != nil || found.Terraform != path {
			t.Errorf("given %q: found %q, %v, want %q", given, found.Terraform, err, path)
		}
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("a process was started")
	}
	_, err := toolchain.Ensure(t.Context(), toolchain.Config{Terraform: path + "x"}, toolchain.Terraform)
	wantFault(t, err, "There is no Terraform program at")
}

// A version older than the minimum on PATH does not stand in the way of a download.
func TestTerraformInstall(t *testing.T) {
	signer, key := newSigner(t)
	_, otherKey := newSigner(t)
	archive := zipped(t, "terraform", "#!/bin/sh\necho '{\"terraform_version\":\"1.11.4\"}'\n")
	broken := zipped(t, "terraform", "#!/bin/sh\nexit 1\n")

	cases := map[string]struct {
		archive []byte // what the site serves
		signed  []byte // what the checksums were made of
		key     string
		refused string
	}{
		"signed, checksum right":   {archive: archive, signed: archive, key: key},
		"signed by someone else":   {archive: archive, signed: archive, key: otherKey, refused: "verify checksums signature"},
		"signed, checksum differs": {archive: archive, signed: broken, key: key, refused: "not the one that was signed"},
		"signed, does not run":     {archive: broken, signed: broken, key: key, refused: "ask terraform for its version"},
		"archive missing":          {signed: archive, key: key, refused: "404"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := onlyPath(t)
			program(t, dir, "terraform", `echo '{"terraform_version":"1.5.7"}'`)
			sums := fmt.Sprintf("%x  %s\n", sha256.Sum256(c.signed), archiveName())
			site := releaseSite(t, c.archive, sums, signed(t, signer, sums))
			cfg := toolchain.WithSites(toolchain.Config{CacheDir: t.TempDir()}, site.URL, c.key, nowhere)

			found, err := toolchain.Ensure(t.Context(), cfg, toolchain.Terraform)
			if c.refused != "" {
				wantFault(t, err, "could not be downloaded")
				if !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error is %q, want it to say %q", err, c.refused)
				}
				empty(t, cfg.CacheDir)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			site.Close()
			again, err := toolchain.Ensure(t.Context(), cfg, toolchain.Terraform)
			if err != nil || again.Terraform != found.Terraform || !strings.HasPrefix(found.Terraform, cfg.CacheDir) {
				t.Errorf("installed %q, found again %q, %v", found.Terraform, again.Terraform, err)
			}
		})
	}
}

func TestTerraformWithoutNetwork(t *testing.T) {
	onlyPath(t)
	cfg := offline(t)
	_, err := toolchain.Ensure(t.Context(), cfg, toolchain.Terraform)
	wantFault(t, err, "could not be downloaded")
	if !strings.Contains(err.Error(), "reach 127.0.0.1:1") {
		t.Errorf("error is %q, want it to name the host", err)
	}
	empty(t, cfg.CacheDir)
}

func archiveName() string {
	return fmt.Sprintf("terraform_1.11.4_%s_%s.zip", runtime.GOOS, runtime.GOARCH)
}

// releaseSite serves one release in the layout of HashiCorp's release site.
func releaseSite(t *testing.T, archive []byte, sums, signature string) *httptest.Server {
	t.Helper()
	base := "/terraform/1.11.4/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"index.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name":"terraform","version":"1.11.4","shasums":"sums","shasums_signature":"x_SHA256SUMS.sig",
			"builds":[{"name":"terraform","version":"1.11.4","os":%q,"arch":%q,"filename":%q,"url":"http://%s%s"}]}`,
			runtime.GOOS, runtime.GOARCH, archiveName(), r.Host, base+archiveName())
	})
	mux.HandleFunc("GET "+base+"sums", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sums) })
	mux.HandleFunc("GET "+base+"x_SHA256SUMS.sig", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, signature) })
	mux.HandleFunc("GET "+base+archiveName(), func(w http.ResponseWriter, r *http.Request) {
		if archive == nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/zip")
		_, _ = w.Write(archive)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func newSigner(t *testing.T) (*openpgp.Entity, string) {
	t.Helper()
	entity, err := openpgp.NewEntity("test", "", "test@example.invalid", nil)
	if err != nil {
		t.Fatal(err)
	}
	var key bytes.Buffer
	w, err := armor.Encode(&key, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := entity.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return entity, key.String()
}

func signed(t *testing.T, signer *openpgp.Entity, text string) string {
	t.Helper()
	var signature bytes.Buffer
	if err := openpgp.DetachSign(&signature, signer, strings.NewReader(text), nil); err != nil {
		t.Fatal(err)
	}
	return signature.String()
}

func zipped(t *testing.T, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	file, err := archive.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
