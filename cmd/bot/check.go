package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/judge"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/waiver"
)

// check judges plans without a server.
type check struct {
	policies       []string
	format, source string
	all            bool
	settings       settings // the organisation's policies, and where Terraform is
	in             io.Reader
	progress       *progress
	judge          *judge.Judge
	sets           []*gate.Source
	waivers        []waiver.List
	module         *located // of --source; nil without
	planning       chan struct{}
}

func checkCommand() *cobra.Command {
	c := check{planning: make(chan struct{}, 1)}
	cmd := &cobra.Command{
		Use:   "check PLAN.json|DIR|- …",
		Short: "Judge plan JSON, or plan and judge directories, as the server would",
		Long: `Judge the output of "terraform show -json PLAN", or plan and judge directories.

Exit status: 0 if everything passes, 1 for a deny or an undetermined value, 2 if something could
not be judged.

With several --policies each set judges, and the waivers of each hold for what any of them finds.
The server takes waivers from the repository only: as --organisation-policies, it refuses a set
with waivers.yaml.`,
		Example: `  terraform show -json plan.bin | bot check -
  bot check --source infrastructure --format sarif plan.json >tollgate.sarif
  bot check --policies policies --policies ../organisation/policies plans/*.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Findings are kept until they are written, so there is little garbage to collect.
			debug.SetGCPercent(400)
			c.in, c.progress = cmd.InOrStdin(), newProgress(cmd.ErrOrStderr(), len(args))
			return c.command(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	cmd.Flags().StringArrayVar(&c.policies, "policies", nil, "directory or .tar.gz with policies, and with waivers.yaml if there is one; sets add up (default: the built-in set)")
	cmd.Flags().StringVar(&c.settings.Policies, "organisation-policies", "", "directory or .tar.gz with policies; its files replace the built-in ones of the same name")
	cmd.Flags().StringVar(&c.settings.PolicyDigest, "organisation-policies-digest", "", "sha256:… of the organisation's policies; by any other nothing is judged")
	cmd.MarkFlagsMutuallyExclusive("policies", "organisation-policies")
	cmd.Flags().StringVar(&c.format, "format", "text", "one of "+report.Formats)
	cmd.Flags().StringVar(&c.source, "source", "", "root module that the plan files were made of, to name the lines to mend")
	cmd.Flags().BoolVar(&c.all, "all", false, "list passes too")
	cmd.Flags().StringVar(&c.settings.Terraform, "terraform", "", "terraform program, for directories (default: from PATH, else installed and verified)")
	cmd.Flags().StringVar(&c.settings.ProviderDirs, "provider-mirror", "", "filesystem mirrors for providers, separated by commas (default: those found on this machine, then the registry)")
	return cmd
}

// command judges the arguments and writes what was found, also when some have no verdict.
func (c *check) command(ctx context.Context, out io.Writer, args []string) error {
	if err := c.prepare(args); err != nil {
		return err
	}
	result, err := c.run(ctx, args)
	if err != nil && len(result.NotJudged) == 0 {
		return err
	}
	o := report.FindingsOptions{All: c.all}
	if out == os.Stdout {
		o.Color, o.Width = terminal(os.Stdout), width(os.Stdout)
	}
	// People read the errors on standard error; programs read them in the format that they asked for.
	if len(result.Plans) > 0 || c.format != "text" {
		if err := report.Findings(out, c.format, result, o); err != nil {
			return err
		}
	}
	if err == nil && !result.Allowed() {
		return exitStatus(1)
	}
	return err
}

// prepare reads what all plans are judged by.
func (c *check) prepare(args []string) error {
	if err := report.KnownFormat(c.format); err != nil {
		return err
	}
	if first := slices.Index(args, "-"); first >= 0 && slices.Contains(args[first+1:], "-") {
		return fault.New("Standard input is named twice.", "It can be read once.", "Give - once.")
	}
	if err := c.readPolicies(); err != nil {
		return err
	}
	if c.source != "" {
		m, err := locate(c.source)
		if err != nil {
			return notJudged("--source "+c.source, err)
		}
		c.module = m
	}
	var err error
	c.judge, err = newJudge(judge.Config{})
	return err
}

func (c *check) readPolicies() error {
	if c.settings.PolicyDigest != "" && c.settings.Policies == "" {
		return fault.New("--organisation-policies-digest is given without --organisation-policies.", "Other policies than those meant would judge.", "Say where the organisation's policies are.")
	}
	if len(c.policies) == 0 {
		name, fsys, err := basePolicies(c.settings)
		if err != nil {
			return err
		}
		src, err := gate.Read(name, fsys)
		c.sets = []*gate.Source{src}
		return err
	}
	for _, name := range c.policies {
		fsys, err := gate.Open(name)
		if err != nil {
			return err
		}
		src, err := gate.Read(name, fsys)
		if err != nil {
			return err
		}
		c.sets = append(c.sets, src)
		if err := c.readWaivers(path.Join(inRepository(name), waiver.File), fsys); err != nil {
			return err
		}
	}
	return nil
}

// readWaivers reads the waivers of a set, if it has any. file is for messages.
func (c *check) readWaivers(file string, fsys fs.FS) error {
	text, err := fs.ReadFile(fsys, waiver.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	list, err := waiver.Parse(file, text)
	if err != nil {
		return err
	}
	c.waivers = append(c.waivers, list)
	return nil
}

// digest is the sets' own digest if there is one set, as in the server's checks.
func (c *check) digest() string {
	if len(c.sets) == 1 {
		return c.sets[0].Digest
	}
	h := sha256.New()
	for _, s := range c.sets {
		fmt.Fprintln(h, s.Digest)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// maxAtOnce bounds how many plans are judged at once: each takes a process and some memory.
const maxAtOnce = 4

// run judges every argument, whatever becomes of the others. The error joins those of what was not
// judged; without any such, it is about the policies.
func (c *check) run(ctx context.Context, args []string) (report.CheckResult, error) {
	defer c.progress.end()
	plans, errs := make([]report.CheckedPlan, len(args)), make([]error, len(args))
	turns := make(chan struct{}, min(runtime.NumCPU(), maxAtOnce))
	var wait sync.WaitGroup
	for i, arg := range args {
		wait.Go(func() {
			turns <- struct{}{}
			c.progress.start(arg)
			plans[i], errs[i] = c.one(ctx, arg)
			c.progress.finish(arg, errs[i])
			<-turns
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		// What is wrong with the policies is said once, and not as something wrong with each plan.
		if _, err := c.judge.Check(ctx, c.sets); err != nil {
			return report.CheckResult{}, err
		}
	}
	result := report.CheckResult{PolicyDigest: c.digest()}
	for i, arg := range args {
		if errs[i] != nil {
			result.NotJudged = append(result.NotJudged, unjudged(arg, errs[i]))
			errs[i] = notJudged(arg, errs[i])
			continue
		}
		result.Plans = append(result.Plans, plans[i])
	}
	var err error
	if result.Rules, err = c.rules(result.Plans); err != nil {
		return report.CheckResult{}, err
	}
	return result, errors.Join(errs...)
}

// rules reads what the policies say of their rules, if anything was found: only then is it shown.
func (c *check) rules(plans []report.CheckedPlan) ([]change.Rule, error) {
	if !slices.ContainsFunc(plans, func(p report.CheckedPlan) bool { return len(p.Findings) > 0 }) {
		return nil, nil
	}
	var all []change.Rule
	for _, set := range c.sets {
		for _, g := range []string{gate.ForSources, gate.ForPlans} {
			rules, err := gate.Rules(set, g)
			if err != nil {
				return nil, err
			}
			all = append(all, rules...)
		}
	}
	return all, nil
}

// notJudged names the argument that an error is about.
func notJudged(arg string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return fault.Wrap(f.Err, arg+": "+f.What, f.Why, f.Fix)
	}
	return fmt.Errorf("%s: %w", arg, err)
}

func unjudged(arg string, err error) report.NotJudged {
	var f *fault.Error
	if errors.As(err, &f) {
		return report.NotJudged{Path: arg, What: f.What, Why: f.Why, Fix: f.Fix}
	}
	return report.NotJudged{Path: arg, What: err.Error()}
}

func (c *check) one(ctx context.Context, arg string) (report.CheckedPlan, error) {
	if arg == "-" {
		return c.judged(ctx, arg, c.in, c.module)
	}
	f, err := os.Open(arg)
	if err == nil {
		defer f.Close()
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			return c.directory(ctx, arg)
		}
	}
	if err != nil {
		return report.CheckedPlan{}, fault.Wrap(err, "It cannot be read.", "It was not judged.", "Give a file with plan JSON, a directory, or - for standard input.")
	}
	return c.judged(ctx, arg, f, c.module)
}

// judged judges a plan, waives what may be waived and finds the lines if the source is known.
func (c *check) judged(ctx context.Context, arg string, plan io.Reader, source *located) (report.CheckedPlan, error) {
	r, err := c.judge.Plan(ctx, c.sets, plan)
	if err != nil {
		return report.CheckedPlan{}, err
	}
	p := c.waived(report.CheckedPlan{Path: arg, ResourcesJudged: r.ResourcesJudged, File: inRepository(arg)}, r)
	if source != nil {
		p.File = source.file
		for i := range p.Findings {
			source.find(&p.Findings[i])
		}
	}
	return p, nil
}

// waived takes over what was found, less what nobody wants to see, and waives what may be waived.
func (c *check) waived(p report.CheckedPlan, r gate.Result) report.CheckedPlan {
	if p.Findings = r.Findings; !c.all {
		p.Findings = slices.DeleteFunc(p.Findings, func(f change.Finding) bool { return f.Verdict == change.Pass })
	}
	for _, list := range c.waivers {
		outcome := list.Apply(p.Findings, r.Unwaivable, time.Now())
		p.Findings, p.Notices = outcome.Findings, append(p.Notices, outcome.Notices...)
	}
	return p
}

// inRepository is how code scanning would name a file: relative to the repository of the working
// directory.
func inRepository(file string) string {
	if file == "-" {
		return "stdin"
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return filepath.Base(file)
	}
	here, err := os.Getwd()
	if err != nil {
		return filepath.Base(file)
	}
	root, _ := repositoryRoot(here)
	if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return filepath.Base(file)
}

// located is the source of a root module.
type located struct {
	module    *hclsource.Module
	root, dir string // the repository, and the module's directory in it
	file      string // slash-separated, in the repository: for findings without a line
}

// locate reads the root module in a directory.
func locate(dir string) (*located, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, rel := repositoryRoot(abs)
	m, err := hclsource.Load(os.DirFS(root), rel)
	if err != nil {
		return nil, err
	}
	l := &located{module: m, root: root, dir: rel, file: rel}
	files, err := filepath.Glob(filepath.Join(abs, "*.tf"))
	if err == nil && len(files) > 0 {
		file := files[max(0, slices.Index(files, filepath.Join(abs, "main.tf")))]
		l.file = filepath.ToSlash(filepath.Join(rel, filepath.Base(file)))
	}
	return l, nil
}

func (l *located) find(f *change.Finding) {
	if places := l.module.Locate(f.Address, f.Attribute); len(places) > 0 {
		f.File, f.Line, f.EndLine = places[0].File, places[0].Line, places[0].EndLine
	}
}
