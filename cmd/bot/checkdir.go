package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/terraform"
)

// directory plans a root module with the caller's own environment. Nothing is written into it.
func (c *check) directory(ctx context.Context, dir string) (report.CheckedPlan, error) {
	if err := noPlanFiles(dir); err != nil {
		return report.CheckedPlan{}, err
	}
	source, err := locate(dir)
	if err != nil {
		return report.CheckedPlan{}, err
	}
	code, err := c.judgeCode(ctx, dir, source)
	if err != nil || code.Refused {
		return code, err
	}
	tmp, err := os.MkdirTemp("", "tollgate-check-")
	if err != nil {
		return report.CheckedPlan{}, err
	}
	defer os.RemoveAll(tmp)
	// One after the other: two plans at once need twice a provider's memory.
	c.planning <- struct{}{}
	plan, err := c.plan(ctx, tmp, source)
	<-c.planning
	if err != nil {
		return report.CheckedPlan{}, err
	}
	judged, err := c.judged(ctx, dir, bytes.NewReader(plan.JSON), source)
	judged.Findings = append(code.Findings, judged.Findings...)
	judged.Notices = append(code.Notices, judged.Notices...)
	return judged, err
}

// judgeCode judges the code of a directory before it is planned. There is nothing to compare it with:
// what has changed is for the server to judge. Without rules for code, as in a set of plan policies that
// was named with --policies, nothing is found.
func (c *check) judgeCode(ctx context.Context, dir string, source *located) (report.CheckedPlan, error) {
	p := report.CheckedPlan{Path: dir, File: source.file}
	if !slices.ContainsFunc(c.sets, func(s *gate.Source) bool { return s.Judges(gate.ForSources) }) {
		return p, nil
	}
	tree, err := source.module.ListDir(os.DirFS(source.root))
	if err != nil {
		return p, err
	}
	document, err := json.Marshal(hclsource.Describe(hclsource.DocumentRoot{Name: source.dir, Dir: source.dir}, tree, nil))
	if err != nil {
		return p, err
	}
	pending, err := c.judge.PrepareSources(ctx, c.sets)
	if err != nil {
		return p, err
	}
	defer pending.Close()
	results, err := pending.Sources(ctx, []json.RawMessage{document})
	if err != nil {
		return p, err
	}
	p = c.waived(p, results[0])
	p.Refused = slices.ContainsFunc(p.Findings, change.Finding.Blocks)
	return p, nil
}

// noPlanFiles refuses a directory that holds plan files and nothing to plan.
func noPlanFiles(dir string) error {
	count := func(pattern string) int {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		return len(files)
	}
	if count("*.tf")+count("*.tf.json") > 0 || count("*.json") == 0 {
		return nil
	}
	return fault.New("The directory holds no Terraform configuration.", "A directory is planned, and there is nothing to plan.",
		"To judge the plan files in it, name them: bot check "+filepath.Join(dir, "*.json"))
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

func (c *check) plan(ctx context.Context, tmp string, source *located) (*terraform.Plan, error) {
	environ := os.Environ()
	// A copy, because init would write a lock file where there is none.
	tree := filepath.Join(tmp, "tree")
	for _, d := range source.module.Dirs() {
		if err := copyDir(filepath.Join(source.root, filepath.FromSlash(d)), filepath.Join(tree, filepath.FromSlash(d))); err != nil {
			return nil, fmt.Errorf("copy %s: %w", d, err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	where := c.settings
	where.DataDir = filepath.Join(cache, "tollgate")
	binary, mirrors, err := findTerraform(ctx, where, environ)
	if err != nil {
		return nil, err
	}
	tf, err := terraform.New(ctx, terraform.Config{Binary: binary, Mirrors: mirrors, Dir: filepath.Join(tmp, "tf"), Environ: terraformEnviron(environ, ""), Key: make([]byte, 32)})
	if err != nil {
		return nil, err
	}
	m, _, err := terraformVariables(environ).Module(tree, change.Project{Name: source.dir, Dir: source.dir}, source.module, "check", source.root)
	if err != nil {
		return nil, err
	}
	c.progress.note("Planning " + source.dir + " …")
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
