package toolchain_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/toolchain"
)

var aws = toolchain.Provider{Source: "registry.terraform.io/hashicorp/aws", Version: "5.100.0"}

// mirror makes an unpacked mirror that holds one provider for this machine.
func mirror(t *testing.T, dir string, p toolchain.Provider) string {
	t.Helper()
	write(t, filepath.Join(dir, p.Source, p.Version, toolchain.Platform(), "terraform-provider-"+filepath.Base(p.Source)+"_v"+p.Version), "")
	return dir
}

func TestProvidersAreFound(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		arrange func(t *testing.T, root string, cfg *toolchain.Config) // mirrors lie below root
		want    []string                                               // relative to root
	}{
		"nowhere": {arrange: func(*testing.T, string, *toolchain.Config) {}},
		"named": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				cfg.Mirrors = []string{mirror(t, filepath.Join(root, "named"), aws)}
			},
			want: []string{"named"},
		},
		"in the CLI configuration": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				cfg.CLIConfigFile = filepath.Join(root, "rc")
				dir := mirror(t, filepath.Join(root, "company"), aws)
				write(t, cfg.CLIConfigFile, "provider_installation {\n  # filesystem_mirror { path = \"/elsewhere\" }\n  filesystem_mirror {\n    include = [\"*/*\"]\n    path = \""+dir+"\"\n  }\n}\n")
			},
			want: []string{"company"},
		},
		"the CLI configuration does not exist": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				cfg.CLIConfigFile = filepath.Join(root, "missing")
				mirror(t, filepath.Join(root, "search", "plugins"), aws)
			},
			want: []string{"search/plugins"},
		},
		"where Terraform looks by itself": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				cfg.Home = root
				mirror(t, filepath.Join(root, ".terraform.d", "plugins"), aws)
			},
			want: []string{".terraform.d/plugins"},
		},
		"packed": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				write(t, filepath.Join(root, "search", "plugins", aws.Source, "terraform-provider-aws_5.100.0_"+toolchain.Platform()+".zip"), "")
			},
			want: []string{"search/plugins"},
		},
		"for another machine": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				write(t, filepath.Join(root, "search", "plugins", aws.Source, "5.100.0", "plan9_mips", "terraform-provider-aws"), "")
			},
		},
		"another version": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				mirror(t, filepath.Join(root, "search", "plugins"), toolchain.Provider{Source: aws.Source, Version: "4.0.0"})
			},
		},
		"where anyone can write": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				dir := mirror(t, filepath.Join(root, "search", "plugins"), aws)
				if err := os.Chmod(filepath.Join(dir, "registry.terraform.io"), 0o777); err != nil {
					t.Fatal(err)
				}
			},
		},
		"twice, through a link": {
			arrange: func(t *testing.T, root string, cfg *toolchain.Config) {
				mirror(t, filepath.Join(root, "search", "plugins"), aws)
				for link, target := range map[string]string{"a": "plugins", "circle": "."} {
					if err := os.Symlink(target, filepath.Join(root, "search", link)); err != nil {
						t.Fatal(err)
					}
				}
			},
			want: []string{"search/plugins"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			cfg := toolchain.WithSites(toolchain.Config{Providers: []toolchain.Provider{aws}}, nowhere, "", nowhere, filepath.Join(root, "search", "*"))
			c.arrange(t, root, &cfg)
			found, err := toolchain.Ensure(t.Context(), cfg, toolchain.Providers)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, dir := range c.want {
				want = append(want, filepath.Join(root, dir))
			}
			if diff := cmp.Diff(want, found.Mirrors); diff != "" {
				t.Errorf("mirrors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANamedMirrorMustHoldSomething(t *testing.T) {
	t.Parallel()
	cfg := toolchain.Config{Mirrors: []string{t.TempDir()}}
	_, err := toolchain.Ensure(t.Context(), cfg, toolchain.Providers)
	wantFault(t, err, "holds no providers")

	mirror(t, cfg.Mirrors[0], aws)
	if _, err := toolchain.Ensure(t.Context(), cfg, toolchain.Providers); err != nil {
		t.Error(err)
	}
}

// fakeInit does what `terraform init` does with a plugin cache, or fails.
const fakeInit = `test "$1" = init || exit 2
test -z "$AWS_CA_BUNDLE" || { echo "AWS_CA_BUNDLE is set"; exit 1; }
while read -r line; do case "$line" in *hashicorp/aws*) found=1;; esac; done < main.tf
test -n "$found" || { echo "aws is not required"; exit 1; }
dir="$TF_PLUGIN_CACHE_DIR/registry.terraform.io/hashicorp/aws/5.100.0/%s"
mkdir -p "$dir" && touch "$dir/terraform-provider-aws_v5.100.0_x5"`

func TestProvidersAreDownloaded(t *testing.T) {
	t.Setenv("AWS_CA_BUNDLE", "/nonexistent")
	registry := releaseSite(t, nil, "", "")
	cases := map[string]struct {
		script   string
		registry string
		refused  bool
	}{
		"by terraform":      {script: strings.ReplaceAll(fakeInit, "%s", toolchain.Platform()), registry: registry.URL},
		"terraform fails":   {script: "echo no such provider; exit 1", registry: registry.URL, refused: true},
		"without a network": {script: strings.ReplaceAll(fakeInit, "%s", toolchain.Platform()), registry: nowhere, refused: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := onlyPath(t)
			cfg := toolchain.WithSites(toolchain.Config{
				CacheDir:  t.TempDir(),
				Providers: []toolchain.Provider{aws},
				Terraform: program(t, dir, "terraform", c.script),
			}, nowhere, "", c.registry)

			found, err := toolchain.Ensure(t.Context(), cfg, toolchain.Providers)
			if c.refused {
				wantFault(t, err, "hashicorp/aws 5.100.0")
				empty(t, cfg.CacheDir)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := []string{filepath.Join(cfg.CacheDir, "providers")}
			if diff := cmp.Diff(want, found.Mirrors); diff != "" {
				t.Errorf("mirrors (-want +got):\n%s", diff)
			}
			cfg.Terraform = program(t, dir, "terraform", "exit 1")
			if again, err := toolchain.Ensure(t.Context(), cfg, toolchain.Providers); err != nil || !cmp.Equal(want, again.Mirrors) {
				t.Errorf("the second time: %v, %v, want the same without a download", again.Mirrors, err)
			}
		})
	}
}

func TestProvidersInLock(t *testing.T) {
	t.Parallel()
	const lock = `# This file is maintained automatically by "terraform init".

provider "registry.terraform.io/hashicorp/aws" {
  version     = "5.100.0"
  constraints = "~> 5.100"
  hashes = [
    "h1:Ijt7pOlB7Tr7maGQIqtsLFbl7pSMIj06TVdkoSBcYOw=",
  ]
}

provider "registry.terraform.io/hashicorp/random" {
  version = "3.7.1"
}
`
	want := []toolchain.Provider{aws, {Source: "registry.terraform.io/hashicorp/random", Version: "3.7.1"}}
	if diff := cmp.Diff(want, toolchain.ProvidersInLock([]byte(lock))); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
}

func TestCLIConfig(t *testing.T) {
	t.Parallel()
	packed := t.TempDir()
	write(t, filepath.Join(packed, "registry.terraform.io/hashicorp/random", "terraform-provider-random_3.7.1_"+toolchain.Platform()+".zip"), "")
	unpacked := mirror(t, t.TempDir(), aws)
	want := `disable_checkpoint = true

provider_installation {
  filesystem_mirror {
    path    = "` + packed + `"
    include = ["registry.terraform.io/hashicorp/random"]
  }
  filesystem_mirror {
    path    = "` + unpacked + `"
    include = ["registry.terraform.io/hashicorp/aws"]
  }
  direct {
    exclude = ["registry.terraform.io/hashicorp/random", "registry.terraform.io/hashicorp/aws"]
  }
}
`
	if diff := cmp.Diff(want, toolchain.CLIConfig([]string{packed, unpacked})); diff != "" {
		t.Errorf("with mirrors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("disable_checkpoint = true\n\nprovider_installation {\n  direct {\n  }\n}\n", toolchain.CLIConfig(nil)); diff != "" {
		t.Errorf("without (-want +got):\n%s", diff)
	}
}
