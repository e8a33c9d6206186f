package toolchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hc-install/product"
	hcreleases "github.com/hashicorp/hc-install/releases"

	"github.com/tollgate/tollgate/internal/fault"
)

const (
	terraformMinimum = "1.11"
	terraformPinned  = "1.11.4"
)

// sites are where Terraform and its providers come from; the zero value is HashiCorp's own.
type sites struct {
	releases string
	key      string // armored public key that signs the releases
	registry string
}

// findTerraform tries the given path, PATH, the cache, and the release site.
func (s *search) findTerraform(ctx context.Context) (string, error) {
	if s.Config.Terraform != "" {
		return s.givenTerraform()
	}
	unfit := ""
	if path, err := exec.LookPath("terraform"); err == nil {
		path, unfit = s.usableTerraform(ctx, path)
		if unfit == "" {
			return path, nil
		}
	}
	if !s.installs() {
		return "", fault.New(orDefault(unfit, "Terraform is not on PATH."), "Every plan needs it.",
			"Install Terraform "+terraformMinimum+" or newer, or say where it is with --terraform.")
	}
	return s.installTerraform(ctx)
}

func (s *search) givenTerraform() (string, error) {
	path, err := exec.LookPath(s.Config.Terraform)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", fault.Wrap(err, fmt.Sprintf("There is no Terraform program at %q.", s.Config.Terraform),
			"Every plan needs it.", "Correct --terraform, or leave it out to use the one on PATH.")
	}
	s.say(Terraform, "using %s, as configured", path)
	return path, nil
}

// usableTerraform returns the absolute path of a program on PATH, or why it cannot be used.
func (s *search) usableTerraform(ctx context.Context, path string) (usable, unfit string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", "Terraform's directory is not accessible."
	}
	have, err := terraformVersion(ctx, path)
	if err != nil {
		return "", "The terraform program on PATH does not tell its version."
	}
	if have.LessThan(version.Must(version.NewVersion(terraformMinimum))) {
		return "", fmt.Sprintf("Terraform on PATH is %s, and %s or newer is needed.", have, terraformMinimum)
	}
	s.say(Terraform, "%s found: %s", have, path)
	return path, ""
}

// TerraformVersion asks a program which version it is.
func TerraformVersion(ctx context.Context, path string) (string, error) {
	v, err := terraformVersion(ctx, path)
	switch {
	case err != nil:
		return "", fault.Wrap(err, "The program "+path+" does not tell its version.", "Every plan needs Terraform.", "Correct --terraform, or leave it out to use the one on PATH.")
	case v.LessThan(version.Must(version.NewVersion(terraformMinimum))):
		return "", fault.New(fmt.Sprintf("Terraform at %s is %s, and %s or newer is needed.", path, v, terraformMinimum), "Every plan needs it.", "Name a newer one with --terraform.")
	}
	return v.String(), nil
}

func terraformVersion(ctx context.Context, path string) (*version.Version, error) {
	cmd := exec.CommandContext(ctx, path, "version", "-json")
	// An inherited TF_CLI_CONFIG_FILE that names no file would fail even this, and a check for
	// updates would wait for the network.
	cmd.Env = []string{"CHECKPOINT_DISABLE=1"}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask terraform for its version: %w", err)
	}
	var answer struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("read terraform's version: %w", err)
	}
	return version.NewVersion(answer.Version)
}

func (s *search) installTerraform(ctx context.Context) (string, error) {
	dir := filepath.Join(s.CacheDir, "terraform", terraformPinned)
	path := filepath.Join(dir, product.Terraform.BinaryName())
	if _, err := os.Stat(path); err == nil {
		s.say(Terraform, "%s found: %s", terraformPinned, path)
		return path, nil
	}
	began := time.Now()
	s.say(Terraform, "downloading %s for %s/%s", terraformPinned, runtime.GOOS, runtime.GOARCH)
	err := place(dir, func(dir string) error { return s.downloadTerraform(ctx, dir) })
	if err != nil {
		return "", fault.Wrap(err, "Terraform "+terraformPinned+" could not be downloaded.", "Every plan needs it.",
			"Install Terraform "+terraformMinimum+" or newer on PATH, or let this machine reach releases.hashicorp.com.")
	}
	s.say(Terraform, "%s installed in %s: %s", terraformPinned, took(began), path)
	return path, nil
}

// downloadTerraform verifies the signature of the checksums and the checksum of the archive.
func (s *search) downloadTerraform(ctx context.Context, dir string) error {
	site := orDefault(s.sites.releases, "https://releases.hashicorp.com")
	if err := reachable(ctx, site); err != nil {
		return err
	}
	release := &hcreleases.ExactVersion{
		Product:          product.Terraform,
		Version:          version.Must(version.NewVersion(terraformPinned)),
		InstallDir:       dir,
		Timeout:          5 * time.Minute,
		ApiBaseURL:       site,
		ArmoredPublicKey: s.sites.key,
	}
	path, err := release.Install(ctx)
	// hc-install 0.10 overwrites the error of a wrong checksum, or of a disk that fills while it
	// unpacks, with that of removing its temporary file. What shows is a program that is missing or
	// cut short.
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the archive is not the one that was signed, or could not be unpacked: %w", err)
	}
	if err != nil {
		return err
	}
	have, err := terraformVersion(ctx, path)
	if err == nil && have.String() != terraformPinned {
		err = fmt.Errorf("the downloaded program calls itself %s", have)
	}
	return err
}

// reachable asks a site for a sign of life, so that a machine without a way out is told in seconds
// and not after a library's retries.
func reachable(ctx context.Context, site string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, site, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("reach %s: %w", request.URL.Host, err)
	}
	return response.Body.Close()
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
