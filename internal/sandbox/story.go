package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
)

// stepPatience is how long a step may take: an apply of everything is the longest.
const stepPatience = 10 * time.Minute

// Teller plays a story and prints each step with its evidence.
type Teller struct {
	*World
	Out   io.Writer
	steps int
	begun time.Time
}

// Tell returns a teller of stories in a world.
func Tell(w *World, out io.Writer) *Teller { return &Teller{World: w, Out: out, begun: time.Now()} }

func (t *Teller) step(format string, args ...any) {
	t.steps++
	fmt.Fprintf(t.Out, "\n%2d. [%3.0f s] %s\n", t.steps, time.Since(t.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (t *Teller) evidence(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		fmt.Fprintf(t.Out, "      %s\n", strings.TrimRight(line, "\n"))
	}
}

// Await waits until a check of a commit is completed, and prints that time passes.
func (t *Teller) Await(ctx context.Context, sha, name string) (ghsim.CheckRun, error) {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	last, begun, told := "", time.Now(), time.Now()
	for {
		c, ok := t.Repo.CheckRun(sha, name)
		if ok && c.Status == "completed" {
			return c, nil
		}
		state := "not there yet"
		if ok {
			state = strings.ReplaceAll(c.Status, "_", " ") + ": " + c.Title
		}
		if state != last || time.Since(told) > 10*time.Second {
			fmt.Fprintf(t.Out, "      … %s: %s%s\n", name, state, t.meanwhile(begun))
			last, told = state, time.Now()
		}
		select {
		case <-ctx.Done():
			return c, fmt.Errorf("check %q of %.7s is still %s: %w", name, sha, state, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// meanwhile says that time passes and things happen.
func (t *Teller) meanwhile(begun time.Time) string {
	waited := time.Since(begun)
	if waited < 9*time.Second {
		return ""
	}
	if t.Emulator == nil {
		return fmt.Sprintf(" (%.0f s)", waited.Seconds())
	}
	calls, err := t.Emulator.Calls()
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (%.0f s, %d changing calls at the emulator so far)", waited.Seconds(), len(calls))
}

// expect waits for a check and says what it concluded.
func (t *Teller) expect(ctx context.Context, sha, name, conclusion string) (ghsim.CheckRun, error) {
	c, err := t.Await(ctx, sha, name)
	if err != nil {
		return c, err
	}
	t.evidence("%s on %.7s: %s (%s)", c.Name, sha, c.Conclusion, c.Title)
	if c.Conclusion != conclusion {
		return c, fmt.Errorf("check %q of %.7s concluded %q, want %q:\n%s", name, sha, c.Conclusion, conclusion, c.Summary)
	}
	return c, nil
}

// Breaks are edits of the infrastructure that each break one policy family, in different modules.
var Breaks = []struct{ Policy, File, Before, After string }{
	{"plan.private_subnets", Dir + "/modules/network/main.tf",
		"map_public_ip_on_launch = false\n\n  tags = { Name = \"payment-private", "map_public_ip_on_launch = true\n\n  tags = { Name = \"payment-private"},
	{"plan.tls", Dir + "/modules/load-balancer/main.tf", "ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-2016-08"},
	{"plan.log_retention", Dir + "/modules/ecs-service/main.tf", "retention_in_days = var.log_retention_days", "retention_in_days = 7"},
	{"plan.required_tags", Dir + "/modules/ecs-cluster/main.tf", "  name = local.name\n\n  setting", "  name = local.name\n  tags = { CostCenter = \"\" }\n\n  setting"},
}

// ProposeBreaks opens a pull request that breaks all four policies.
func (w *World) ProposeBreaks() (*ghsim.Pull, error) {
	files := map[string]string{}
	for _, b := range Breaks {
		text, err := w.Edit("main", b.File, b.Before, b.After)
		if err != nil {
			return nil, err
		}
		files[b.File] = text
	}
	return w.Propose("quick-fix", "Make the new services reachable", "Public addresses, an older TLS policy, and less to store.", files)
}

// ProposeScaling opens a compliant pull request: payment-api gets room for more tasks.
func (w *World) ProposeScaling(branch string, from, to int) (*ghsim.Pull, error) {
	file := Dir + "/payments.auto.tfvars"
	text, err := w.Edit("main", file, fmt.Sprintf("max_tasks       = %d", from), fmt.Sprintf("max_tasks       = %d", to))
	if err != nil {
		return nil, err
	}
	return w.Propose(branch, fmt.Sprintf("payment-api: up to %d tasks", to), "Room for the season.", map[string]string{file: text})
}

// Story plays the main story to its end. With crash, the server is killed in the middle of the
// first apply and started again.
func (t *Teller) Story(ctx context.Context, crash bool) error {
	if err := t.merged(ctx, crash); err != nil {
		return err
	}
	if err := t.commented(ctx); err != nil {
		return err
	}
	return t.settled()
}

// merged: open, findings, fix, approve, merge, apply, empty second plan.
func (t *Teller) merged(ctx context.Context, crash bool) error {
	t.step("%s opens a pull request that breaks all four policies", Author)
	pull, err := t.ProposeBreaks()
	if err != nil {
		return err
	}
	head := pull.Info().HeadSHA
	if _, err := t.expect(ctx, head, "tollgate", "failure"); err != nil {
		return err
	}
	if err := t.findings(ctx, head); err != nil {
		return err
	}
	t.step("%s pushes a fix", Author)
	if head, err = t.fix(); err != nil {
		return err
	}
	if _, err := t.expect(ctx, head, "tollgate", "success"); err != nil {
		return err
	}
	t.step("%s approves, and %s merges", Reviewer, Author)
	if err := pull.Approve(Reviewer); err != nil {
		return err
	}
	merge, err := pull.Merge(Author, ghsim.Merge)
	if err != nil {
		return err
	}
	t.evidence("merged as %.7s", merge)
	if crash {
		if err := t.crash(ctx); err != nil {
			return err
		}
	}
	if _, err := t.expect(ctx, head, "tollgate/apply: "+Project, "success"); err != nil {
		return err
	}
	if err := t.once(head, 1); err != nil {
		return err
	}
	return t.emptyPlan(ctx)
}

// findings shows where the annotations sit, and that each policy has one in its file.
func (t *Teller) findings(ctx context.Context, head string) error {
	c, err := t.Await(ctx, head, "tollgate/plan: "+Project)
	if err != nil {
		return err
	}
	for _, a := range c.Annotations {
		first, _, _ := strings.Cut(a.Message, "\n")
		t.evidence("%s:%d  %s: %.90s", a.Path, a.StartLine, a.Level, first)
	}
	for _, b := range Breaks {
		if !slices.ContainsFunc(c.Annotations, func(a ghsim.Annotation) bool { return a.Path == b.File && a.Level == "failure" }) {
			return fmt.Errorf("no annotation of %s in %s", b.Policy, b.File)
		}
	}
	return nil
}

// fix takes the breaks back, and makes a harmless change instead.
func (t *Teller) fix() (string, error) {
	files := map[string]string{}
	for _, b := range Breaks {
		text, err := t.Edit("quick-fix", b.File, b.After, b.Before)
		if err != nil {
			return "", err
		}
		files[b.File] = text
	}
	file := Dir + "/payments.auto.tfvars"
	text, err := t.Edit("quick-fix", file, "fraud-detection:1.0.0", "fraud-detection:1.0.1")
	if err != nil {
		return "", err
	}
	files[file] = text
	return t.Repo.Push(ghsim.Push{Branch: "quick-fix", By: Author, Message: "Keep the policies; update fraud-detection", Files: files})
}

// crash waits until the apply is in its middle, kills the server and starts it again.
func (t *Teller) crash(ctx context.Context) error {
	before, err := t.Emulator.Calls()
	if err != nil {
		return err
	}
	t.step("the server is killed in the middle of the apply")
	deadline := time.Now().Add(stepPatience)
	for {
		calls, err := t.Emulator.Calls()
		if err != nil {
			return err
		}
		if n := len(calls) - len(before); n >= 20 {
			t.evidence("kill -9 after %d changes at the emulator", n)
			break
		}
		if time.Now().After(deadline) {
			return errors.New("the apply does not begin")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := t.Bot.Kill(); err != nil {
		return err
	}
	if err := t.goesOn(ctx); err != nil {
		return err
	}
	t.step("the server is started again and takes the apply over")
	return t.Bot.Start(ctx)
}

// goesOn shows that the apply does not need the server.
func (t *Teller) goesOn(ctx context.Context) error {
	killed, err := t.Emulator.Calls()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	for {
		alone, err := t.Emulator.Calls()
		if err != nil {
			return err
		}
		if n := len(alone) - len(killed); n > 0 {
			t.evidence("%d more changes while no server was running", n)
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the apply stopped with the server")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// once shows, from outside the product, that things were made once and reported once.
func (t *Teller) once(head string, applies int) error {
	calls, err := t.Emulator.Calls()
	if err != nil {
		return err
	}
	made := map[string]int{}
	for _, c := range calls {
		if c.Action == "CreateService" && c.Status < 300 {
			made[c.Resource]++
		}
	}
	t.evidence("the emulator recorded %d changing calls; ECS services made: %d", len(calls), len(made))
	for name, n := range made {
		if n != 1 {
			return fmt.Errorf("service %s was made %d times", name, n)
		}
	}
	if len(made) != 3 {
		return fmt.Errorf("%d services were made, want 3", len(made))
	}
	reported := 0
	for _, c := range t.Repo.CheckRuns(head) {
		if c.Name == "tollgate/apply: "+Project {
			reported++
		}
	}
	deployments := t.Repo.Deployments()
	t.evidence("GitHub has %d check of an apply on %.7s; deployments so far: %d, the last of which went %s", reported, head, len(deployments), strings.Join(deployments[len(deployments)-1].States, " → "))
	if reported != 1 || len(deployments) != applies {
		return fmt.Errorf("%d checks and %d deployments, want 1 and %d", reported, len(deployments), applies)
	}
	return nil
}

// emptyPlan shows that what was applied is what the code says.
func (t *Teller) emptyPlan(ctx context.Context) error {
	t.step("a pull request that changes only a comment shows an empty second plan")
	file := Dir + "/main.tf"
	text, err := t.Repo.File("main", file)
	if err != nil {
		return err
	}
	pull, err := t.Propose("comment", "main.tf: say what it is", "", map[string]string{file: "# The payment system.\n" + text})
	if err != nil {
		return err
	}
	c, err := t.expect(ctx, pull.Info().HeadSHA, "tollgate/plan: "+Project, "success")
	if err != nil {
		return err
	}
	if !strings.Contains(strings.ToLower(c.Title), "no changes") {
		return fmt.Errorf("the second plan is not empty: %s\n%s", c.Title, c.Text)
	}
	return pull.Close(Author)
}

// commented: open, approve, /apply, merge.
func (t *Teller) commented(ctx context.Context) error {
	t.step("%s opens a pull request that raises a limit, and %s approves it", Author, Reviewer)
	pull, err := t.ProposeScaling("season", 30, 40)
	if err != nil {
		return err
	}
	head := pull.Info().HeadSHA
	if _, err := t.expect(ctx, head, "tollgate", "success"); err != nil {
		return err
	}
	if err := pull.Approve(Reviewer); err != nil {
		return err
	}
	t.step("%s comments /apply before the merge", Author)
	if _, err := pull.Comment(Author, "/apply"); err != nil {
		return err
	}
	if _, err := t.expect(ctx, head, "tollgate/apply: "+Project, "success"); err != nil {
		return err
	}
	if err := t.once(head, 2); err != nil {
		return err
	}
	before, err := t.Emulator.Calls()
	if err != nil {
		return err
	}
	t.step("the pull request is merged; nothing is applied a second time")
	if _, err := pull.Merge(Author, ghsim.Squash); err != nil {
		return err
	}
	if err := t.quiet(ctx); err != nil {
		return err
	}
	after, err := t.Emulator.Calls()
	if err != nil {
		return err
	}
	t.evidence("%d changing calls before the merge, %d after it", len(before), len(after))
	if len(after) != len(before) {
		return errors.New("the merge applied again")
	}
	return t.once(head, 2)
}

// quiet waits until the stand-in has delivered everything and heard nothing for a while.
func (t *Teller) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	seen, since := -1, time.Now()
	for time.Since(since) < 5*time.Second {
		n := len(t.GitHub.Requests())
		if pending := slices.ContainsFunc(t.GitHub.Deliveries(t.App.ID), func(d ghsim.Delivery) bool { return !d.Done() }); n != seen || pending {
			seen, since = n, time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// settled shows that nothing is left unfinished and that every webhook was taken.
func (t *Teller) settled() error {
	t.step("nothing is left unfinished")
	for _, p := range t.Repo.Pulls() {
		for _, c := range t.Repo.CheckRuns(p.Info().HeadSHA) {
			if c.Status != "completed" {
				return fmt.Errorf("check %q of pull request #%d is still %s", c.Name, p.Number(), c.Status)
			}
		}
		comments := 0
		for _, c := range p.Comments() {
			if strings.Contains(c.Body, "tollgate:summary") {
				comments++
			}
		}
		if comments > 1 {
			return fmt.Errorf("pull request #%d has %d summary comments", p.Number(), comments)
		}
	}
	t.evidence("every check is completed, and no pull request has more than one summary comment")
	return nil
}
