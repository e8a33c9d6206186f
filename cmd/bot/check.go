package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/terraform"
	"github.com/tollgate/tollgate/policies"
)

// check judges plans without a server.
type check struct {
	policies, format string
	all              bool
	settings         settings // where Terraform is, for directories
	set              *gate.Set
	in               io.Reader
	progress         io.Writer
}

func checkCommand() *cobra.Command {
	c := check{}
	cmd := &cobra.Command{
		Use:   "check PLAN.json|DIR|- …",
		Short: "Judge plan JSON, or plan and judge directories, as the server would",
		Long: `Judge the output of "terraform show -json PLAN", or plan and judge directories.

Exit status: 0 if everything passes, 1 for a deny or an undetermined value, 2 if something could
not be judged.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.in, c.progress = cmd.InOrStdin(), cmd.ErrOrStderr()
			result, err := c.run(cmd.Context(), args)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if err := report.Findings(out, c.format, result, report.FindingsOptions{All: c.all, Color: out == os.Stdout && terminal(os.Stdout)}); err != nil {
				return err
			}
			for _, p := range result.Plans {
				for _, f := range p.Findings {
					if f.Blocks() {
						return exitStatus(1)
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&c.policies, "policies", "", "directory with policies (default: the built-in set)")
	cmd.Flags().StringVar(&c.format, "format", "text", "one of "+report.Formats)
	cmd.Flags().BoolVar(&c.all, "all", false, "list passes too")
	cmd.Flags().StringVar(&c.settings.Terraform, "terraform", "", "terraform program, for directories (default: from PATH, else installed and verified)")
	cmd.Flags().StringVar(&c.settings.ProviderDirs, "provider-mirror", "", "filesystem mirrors for providers, separated by commas (default: those found on this machine, then the registry)")
	return cmd
}

// terminal reports whether colours are welcome.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}

func (c *check) run(ctx context.Context, args []string) (report.CheckResult, error) {
	fsys, name := fs.FS(policies.Files), "built-in"
	if c.policies != "" {
		fsys, name = os.DirFS(c.policies), c.policies
	}
	var err error
	if c.set, err = gate.Load(name, fsys); err != nil {
		return report.CheckResult{}, err
	}
	result := report.CheckResult{PolicyDigest: c.set.Digest()}
	var faults []error
	for i, arg := range args {
		if len(args) > 1 {
			fmt.Fprintf(c.progress, "[%d/%d] %s\n", i+1, len(args), arg)
		}
		plan, err := c.one(ctx, arg)
		if err != nil {
			faults = append(faults, notJudged(arg, err))
			continue
		}
		result.Plans = append(result.Plans, plan)
	}
	return result, errors.Join(faults...)
}

// notJudged names the argument that an error is about.
func notJudged(arg string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return fault.Wrap(f.Err, arg+": "+f.What, f.Why, f.Fix)
	}
	return fmt.Errorf("%s: %w", arg, err)
}

func (c *check) one(ctx context.Context, arg string) (report.CheckedPlan, error) {
	if arg == "-" {
		b, err := io.ReadAll(c.in)
		if err != nil {
			return report.CheckedPlan{}, fmt.Errorf("read standard input: %w", err)
		}
		return c.judge(ctx, arg, b, nil)
	}
	info, err := os.Stat(arg)
	if err != nil {
		return report.CheckedPlan{}, fault.Wrap(err, "It cannot be read.", "Nothing was judged.", "Give a file with plan JSON, a directory, or - for standard input.")
	}
	if info.IsDir() {
		return c.directory(ctx, arg)
	}
	b, err := os.ReadFile(arg)
	if err != nil {
		return report.CheckedPlan{}, fmt.Errorf("read plan: %w", err)
	}
	return c.judge(ctx, arg, b, nil)
}

func (c *check) judge(ctx context.Context, arg string, planJSON []byte, locate func(*change.Finding)) (report.CheckedPlan, error) {
	r, err := c.set.JudgePlan(ctx, planJSON)
	if err != nil {
		return report.CheckedPlan{}, err
	}
	// The key only hides sensitive values in a digest that nobody sees here.
	summary, err := terraform.Summarise(planJSON, make([]byte, 32))
	if err != nil {
		return report.CheckedPlan{}, err
	}
	for i := range r.Findings {
		if locate != nil {
			locate(&r.Findings[i])
		}
	}
	return report.CheckedPlan{Path: arg, Findings: r.Findings, ResourcesJudged: r.ResourcesJudged, Summary: summary}, nil
}

// directory plans a root module with the caller's own environment. Nothing is written into it.
func (c *check) directory(ctx context.Context, dir string) (report.CheckedPlan, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return report.CheckedPlan{}, err
	}
	root, rel := repositoryRoot(abs)
	source, err := hclsource.Load(os.DirFS(root), rel)
	if err != nil {
		return report.CheckedPlan{}, err
	}
	tmp, err := os.MkdirTemp("", "tollgate-check-")
	if err != nil {
		return report.CheckedPlan{}, err
	}
	defer os.RemoveAll(tmp)
	plan, err := c.plan(ctx, root, rel, tmp, source)
	if err != nil {
		return report.CheckedPlan{}, err
	}
	return c.judge(ctx, dir, plan.JSON, func(f *change.Finding) {
		if places := source.Locate(f.Address, f.Attribute); len(places) > 0 {
			f.File, f.Line, f.EndLine = places[0].File, places[0].Line, places[0].EndLine
		}
	})
}

// repositoryRoot is the nearest directory above that holds a .git, so that files are named as in
// the repository and modules beside the directory are found.
func repositoryRoot(dir string) (root, rel string) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, ".git")); err == nil {
			r, err := filepath.Rel(d, dir)
			if err != nil {
				return dir, "."
			}
			return d, filepath.ToSlash(r)
		}
		if d == filepath.Dir(d) {
			return filepath.Dir(dir), path.Base(filepath.ToSlash(dir))
		}
	}
}

func (c *check) plan(ctx context.Context, root, rel, tmp string, source *hclsource.Module) (*terraform.Plan, error) {
	environ := os.Environ()
	// A copy, because init would write a lock file where there is none.
	tree := filepath.Join(tmp, "tree")
	for _, d := range source.Dirs() {
		if err := copyDir(filepath.Join(root, filepath.FromSlash(d)), filepath.Join(tree, filepath.FromSlash(d))); err != nil {
			return nil, fmt.Errorf("copy %s: %w", d, err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	c.settings.DataDir = filepath.Join(cache, "tollgate")
	binary, mirrors, err := findTerraform(ctx, c.settings, environ)
	if err != nil {
		return nil, err
	}
	tf, err := terraform.New(ctx, terraform.Config{Binary: binary, Mirrors: mirrors, Dir: filepath.Join(tmp, "tf"), Environ: terraformEnviron(environ, ""), Key: make([]byte, 32)})
	if err != nil {
		return nil, err
	}
	m, _, err := terraformVariables(environ).Module(tree, change.Project{Name: rel, Dir: rel}, source, "check", root)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.progress, "Planning %s …\n", rel)
	return tf.Plan(ctx, m, terraform.PlanTo{File: filepath.Join(tmp, "plan"), Log: io.Discard})
}

// copyDir copies the files below a directory without what Terraform and git keep for themselves.
func copyDir(from, to string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && p != from && (name == ".terraform" || name == ".git" || name == "node_modules") {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "terraform.tfstate") {
			return nil // state stays where it is
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}
