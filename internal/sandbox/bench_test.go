package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// BenchmarkWebhookToCheck measures, in one run and by turns, how long Tollgate takes from a push's
// webhook to the finished check, and how long a naive script takes for the same change. It reports
//
//	overhead-ms  from webhook to finished check without the Terraform processes, median
//	ratio        from webhook to finished check, divided by the naive time, medians
//	round-trips  requests in a row: what a delay of every answer of GitHub adds, divided by the delay
//	processes    Terraform processes of one plan, the most
//	sandbox-%    what the sandbox adds from webhook to finished check, medians
func BenchmarkWebhookToCheck(b *testing.B) {
	found := parts(b, toolchain.Terraform, toolchain.Git, toolchain.Moto, toolchain.Providers)
	warm := func(args ...string) *sandbox.World {
		w := start(b, sandbox.Config{Terraform: found.Terraform, Python: found.Python, Mirrors: found.Mirrors, Args: args})
		p, err := w.ProposeScaling("season", 30, 31)
		if err != nil {
			b.Fatal(err)
		}
		await(b, w, p.Info().HeadSHA, "tollgate") // the repository is warm from here on
		return w
	}
	w, openly := warm(), warm("--sandbox=off")
	var near, far, ours, theirs, naive []float64
	most := 0
	for i := 0; b.Loop(); i++ {
		took, ran := onePush(b, w, 32+2*i)
		ours, near = append(ours, took), append(near, took-ran.seconds)
		most = max(most, ran.count)
		took, _ = onePush(b, openly, 32+i)
		theirs = append(theirs, took)
		naive = append(naive, naivePlan(b, w, found, w.Repo.Ref("refs/heads/season")))
		slow := w.GitHub.Delay(ghsim.Match{}, roundTrip)
		took, ran = onePush(b, w, 33+2*i)
		slow.Clear()
		far = append(far, took-ran.seconds)
	}
	b.ReportMetric(1000*median(near), "overhead-ms")
	b.ReportMetric(median(ours)/median(naive), "ratio")
	b.ReportMetric((median(far)-median(near))/roundTrip.Seconds(), "round-trips")
	b.ReportMetric(float64(most), "processes")
	b.ReportMetric(100*(median(ours)/median(theirs)-1), "sandbox-%")
	b.ReportMetric(0, "ns/op")
}

// roundTrip is how long a distant GitHub takes to answer.
const roundTrip = 120 * time.Millisecond

// terraformRun is what the server's log says of the Terraform processes of one plan.
type terraformRun struct {
	seconds float64
	count   int
}

// onePush pushes a change and returns the seconds from its webhook to the finished check. It comes
// long enough after the last push not to count as one of a storm.
func onePush(b *testing.B, w *sandbox.World, n int) (float64, terraformRun) {
	b.Helper()
	<-time.After(settled)
	before := len(processes(b, w))
	sha := pushScaling(b, w, n)
	await(b, w, sha, "tollgate")
	var run terraformRun
	took := fromWebhook(b, w, sha)
	for _, p := range processes(b, w)[before:] {
		run.seconds, run.count = run.seconds+p.Duration, run.count+1
	}
	fmt.Fprintf(os.Stderr, "webhook to check %.3f s, of which %d Terraform processes %.3f s\n", took, run.count, run.seconds)
	return took, run
}

// settled is longer than the time within which pushes count as one storm.
const settled = 5 * time.Second

func pushScaling(b *testing.B, w *sandbox.World, n int) string {
	b.Helper()
	file := sandbox.Dir + "/payments.auto.tfvars"
	text, err := w.Repo.File("season", file)
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), "max_tasks       = 3") {
			lines[i] = fmt.Sprintf("    max_tasks       = %d", n)
		}
	}
	sha, err := w.Repo.Push(ghsim.Push{Branch: "season", By: sandbox.Author, Message: "More", Files: map[string]string{file: strings.Join(lines, "\n")}})
	if err != nil {
		b.Fatal(err)
	}
	return sha
}

// fromWebhook is the time in seconds from the delivery of the pull request's webhook to the end of
// the request that completed the check, both as the stand-in saw them.
func fromWebhook(b *testing.B, w *sandbox.World, sha string) float64 {
	b.Helper()
	var from, to time.Time
	for _, d := range w.GitHub.Deliveries(w.App.ID) {
		if d.Event == "pull_request" && strings.Contains(string(d.Payload), `"after":"`+sha) {
			from = d.DeliveredAt
		}
	}
	check, _ := w.Repo.CheckRun(sha, "tollgate")
	for _, ex := range w.GitHub.Requests() {
		if ex.Method == "PATCH" && strings.HasSuffix(ex.Path, fmt.Sprintf("/check-runs/%d", check.ID)) && strings.Contains(ex.Text, `"completed"`) {
			to = ex.Time.Add(ex.Duration)
		}
	}
	if from.IsZero() || to.IsZero() {
		b.Fatal("the stand-in has no record of the webhook or of the check's end")
	}
	return to.Sub(from).Seconds()
}

// naivePlan clones, initialises, plans and shows as a script would.
func naivePlan(b *testing.B, w *sandbox.World, found toolchain.Found, sha string) float64 {
	b.Helper()
	dir := b.TempDir()
	config := filepath.Join(dir, "terraform.tfrc")
	if err := os.WriteFile(config, []byte(toolchain.CLIConfig(found.Mirrors)), 0o600); err != nil {
		b.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	from := time.Now()
	run(b, dir, nil, "git", "clone", "-q", w.Repo.Dir(), tree)
	run(b, tree, nil, "git", "checkout", "-q", sha)
	environ := append(slices.Clone(w.Bot.Environ), "TF_CLI_CONFIG_FILE="+config, "TF_VAR_environment_suffix=demo", "TF_VAR_aws_region=us-east-1")
	infra := filepath.Join(tree, sandbox.Dir)
	run(b, infra, environ, found.Terraform, "init", "-input=false", "-backend-config=bucket=payments-terraform-state", "-backend-config=region=us-east-1", "-backend-config=key=demo/infrastructure.tfstate")
	run(b, infra, environ, found.Terraform, "plan", "-input=false", "-out=plan")
	run(b, infra, environ, found.Terraform, "show", "-json", "plan")
	took := time.Since(from).Seconds()
	fmt.Fprintf(os.Stderr, "naive script %.3f s\n", took)
	return took
}

func run(b *testing.B, dir string, environ []string, name string, args ...string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, environ
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
	}
}

func median(xs []float64) float64 {
	xs = slices.Clone(xs)
	slices.Sort(xs)
	return xs[len(xs)/2]
}
