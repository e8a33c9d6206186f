package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/confine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/toolchain"
	"github.com/tollgate/tollgate/internal/webhook"
)

func doctorCommand() *cobra.Command {
	d := doctor{environ: os.Environ()}
	asJSON := false
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the configuration, this machine and the App, and say what is wrong and how to mend it",
		Long: "Check the configuration, this machine and the App, and say what is wrong and how to mend it.\n\n" +
			"Give it what `bot serve` gets: the same flags, environment or configuration file, as the same user.\n" +
			"It changes nothing. Exit status 0: nothing fails; 1: something does.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.config(d.load(cmd.Flags(), os.Getenv))
			d.examine(cmd.Context())
			if asJSON {
				if err := d.printJSON(cmd.OutOrStdout()); err != nil {
					return err
				}
			} else {
				d.print(cmd.OutOrStdout())
			}
			if d.count(bad) > 0 {
				return exitStatus(1)
			}
			return nil
		},
	}
	d.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one object of JSON")
	return cmd
}

// level is how a diagnosis sounds.
type level string

const (
	good level = "ok"
	fair level = "warn"
	bad  level = "fail"
)

// diagnosis is what the doctor says of one thing.
type diagnosis struct {
	Check string `json:"check"`
	Level level  `json:"status"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

// doctor looks at what a server with these settings would meet. It writes nothing but one file, into
// a data directory that is there, to see whether it can.
type doctor struct {
	settings
	environ []string
	found   []diagnosis
}

func (d *doctor) say(l level, check, text, fix string) {
	d.found = append(d.found, diagnosis{check, l, strings.TrimSpace(text), strings.TrimSpace(fix)})
}

// tell says that all is well with a check, or what its error says.
func (d *doctor) tell(check, text string, err error) bool {
	if err == nil {
		d.say(good, check, text, "")
		return true
	}
	d.fail(bad, check, err)
	return false
}

func (d *doctor) fail(l level, check string, err error) {
	var f *fault.Error
	if !errors.As(err, &f) {
		d.say(l, check, err.Error(), "Check that it is there, and that the server's user may use it.")
		return
	}
	text := f.What + " " + f.Why
	if f.Err != nil {
		text += " Cause: " + f.Err.Error()
	}
	d.say(l, check, text, f.Fix)
}

func (d *doctor) config(err error) {
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		from := "from flags and environment"
		if d.Config != "" {
			from = "from " + d.Config
		}
		d.say(good, "configuration", from, "")
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			d.fail(bad, "configuration", e)
		}
	default:
		d.fail(bad, "configuration", err)
	}
}

func (d *doctor) examine(ctx context.Context) {
	d.sandbox(ctx)
	d.programs(ctx)
	d.roles()
	if d.DataDir != "" {
		d.dataDir()
		d.database(ctx)
		d.artifacts()
	}
	d.webhookSecret()
	d.github(ctx)
}

func (d *doctor) sandbox(ctx context.Context) {
	const check = "sandbox"
	self, err := os.Executable()
	if err == nil {
		err = confine.Check(ctx, self)
	}
	switch {
	case err == nil && d.Sandbox == "off":
		d.say(fair, check, "It is off, although this machine could make one: plans run with all that the server sees and reaches.", "Leave out --sandbox=off.")
	case err == nil:
		d.say(good, check, "plans and applies run in rooms of their own", "")
	case d.Sandbox == "off":
		d.say(fair, check, "It is off: whoever can open a pull request can read the App's key, the database and the credentials of applies.",
			strings.Join(confine.Remedies(), "\n")+"\nThen leave out --sandbox=off.")
	default:
		d.fail(bad, check, cannotConfine(err))
	}
}

// programs looks for what the server runs, and installs nothing.
func (d *doctor) programs(ctx context.Context) {
	var said strings.Builder
	look := func(part toolchain.Part) (toolchain.Found, string, error) {
		said.Reset()
		found, err := toolchain.Ensure(ctx, toolchain.Config{Terraform: d.Terraform, Mirrors: list(d.ProviderDirs), Progress: &said,
			CLIConfigFile: lookup(d.environ, "TF_CLI_CONFIG_FILE"), Home: lookup(d.environ, "HOME")}, part)
		_, text, _ := strings.Cut(strings.TrimSpace(said.String()), " ")
		return found, strings.TrimSpace(text), err
	}
	found, text, err := look(toolchain.Terraform)
	switch {
	case err != nil && d.Terraform == "":
		d.say(fair, "terraform", fault.Public(err).What+" The server downloads and verifies one when it starts.", "Install Terraform 1.11 or newer, or let the server reach releases.hashicorp.com.")
	case err == nil && d.Terraform != "":
		v, err := toolchain.TerraformVersion(ctx, found.Terraform)
		d.tell("terraform", v+": "+found.Terraform, err)
	default:
		d.tell("terraform", text, err)
	}
	_, text, err = look(toolchain.Git)
	d.tell("git", text, err)
	found, text, err = look(toolchain.Providers)
	if err == nil && len(found.Mirrors) == 0 {
		d.say(fair, "provider mirror", "There is none: each new provider is downloaded from its registry, by code that a pull request names.",
			"Fill a directory with `terraform providers mirror`, and name it with --provider-mirror.")
		return
	}
	d.tell("provider mirror", text, err)
}

func (d *doctor) roles() {
	if d.PlanRole != "" && d.ApplyRole != "" {
		d.say(good, "credentials", "plans and applies have roles of their own", "")
		return
	}
	d.say(fair, "credentials", "Plans, applies or both use the server's own credentials, so code of a pull request has them while it is planned.",
		"Give two roles with --aws-plan-role and --aws-apply-role; that of plans needs to read only.")
}

// room is how much of a disk should be free: plans, mirrors and providers grow.
const room = 2 << 30

func (d *doctor) dataDir() {
	const check = "data directory"
	dir, err := filepath.Abs(d.DataDir)
	if err != nil {
		d.fail(bad, check, err)
		return
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.say(good, check, dir+" is made at the first start", "")
		dir = existing(dir)
	} else {
		if err == nil && !info.IsDir() {
			err = errors.New("it is a file")
		}
		var probe *os.File
		if err == nil {
			probe, err = os.CreateTemp(dir, ".doctor-")
		}
		if err != nil {
			d.fail(bad, check, fault.Wrap(err, "The data directory "+dir+" cannot be written.", "Tollgate keeps everything there.", "Run this as the server's user; check --data-dir and its owner."))
			return
		}
		_ = errors.Join(probe.Close(), os.Remove(probe.Name()))
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			d.say(fair, check, fmt.Sprintf("%s is open to other users of this machine (mode %04o).", dir, mode), "chmod 0700 "+dir)
		} else {
			d.say(good, check, dir, "")
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		d.fail(fair, "disk", err)
		return
	}
	free := int64(disk.Bavail) * int64(disk.Bsize)
	text := fmt.Sprintf("%.1f GiB are free", float64(free)/(1<<30))
	switch {
	case remote[int64(disk.Type)] != "":
		d.say(bad, "disk", "The data directory lies on "+remote[int64(disk.Type)]+", where locks and SQLite are not safe.", "Use a local disk.")
	case free < room/4:
		d.say(bad, "disk", "Only "+text+": an apply whose state cannot be kept is not started.", "Make room, or use a larger disk.")
	case free < room:
		d.say(fair, "disk", "Only "+text+".", "Make room, or use a larger disk.")
	default:
		d.say(good, "disk", text, "")
	}
}

// remote are file systems that lie on other machines, by their magic numbers (statfs(2)).
var remote = map[int64]string{0x6969: "NFS", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0x517b: "SMB"}

// existing is the nearest directory above that is there.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func (d *doctor) database(ctx context.Context) {
	file := d.path(d.Database, "tollgate.db")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		d.say(good, "database", file+" is made at the first start", "")
		return
	}
	db, err := store.OpenToRead(ctx, file)
	if err == nil {
		err = errors.Join(db.Examine(ctx), db.Close())
	}
	d.tell("database", file, err)
}

func (d *doctor) artifacts() {
	file := d.path(d.ArtifactKey, "artifact.key")
	err := artifact.CheckKey(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.say(good, "artifact key", file+" is made at the first start", "")
	case err == nil && strings.HasPrefix(file, filepath.Clean(d.DataDir)+string(filepath.Separator)):
		d.say(fair, "artifact key", "It lies beside the plans that it encrypts: whoever can read the data directory can read them.", "Keep it elsewhere, and name it with --artifact-key=file:…")
	default:
		d.tell("artifact key", file, err)
	}
}

func (d *doctor) webhookSecret() {
	const check = "webhook secret"
	if d.SecretFile == "" {
		return // said already
	}
	b, ok := d.secret(check, d.SecretFile)
	if !ok {
		return
	}
	text := strings.TrimSpace(string(b))
	if _, err := webhook.New(webhook.Config{Secret: redact.New(text), Logger: slog.New(slog.DiscardHandler), Accept: refuseAll}); err != nil {
		d.fail(bad, check, err)
		return
	}
	kinds := map[rune]bool{}
	for _, r := range text {
		kinds[r] = true
	}
	if len(kinds) < 10 {
		d.say(bad, check, fmt.Sprintf("It is made of %d different characters only, and could be guessed: whoever has it can send commands.", len(kinds)),
			"Make a new one with `openssl rand -hex 32`, and set it on the App's settings page as well.")
		return
	}
	d.say(good, check, fmt.Sprintf("%d characters", len(text)), "")
}

// secret reads a secret file, and says if others may.
func (d *doctor) secret(check, file string) ([]byte, bool) {
	b, err := readSecret(slog.New(slog.DiscardHandler), file, check)
	if err != nil {
		d.fail(bad, check, err)
		return nil, false
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.say(fair, check, fmt.Sprintf("Others may read %s (mode %04o).", file, info.Mode().Perm()), "chmod 0400 "+file)
	}
	return b, true
}

func (d *doctor) count(l level) (n int) {
	for _, x := range d.found {
		if x.Level == l {
			n++
		}
	}
	return n
}

func (d *doctor) print(w io.Writer) {
	for _, x := range d.found {
		fmt.Fprintf(w, "%-5s %-16s %s\n", x.Level, x.Check, indent(x.Text, 23))
		if x.Fix != "" {
			fmt.Fprintf(w, "%22s → %s\n", "", indent(x.Fix, 25))
		}
	}
	fails, warnings := d.count(bad), d.count(fair)
	switch {
	case fails > 0:
		fmt.Fprintf(w, "\n%s. The server would not work like this.\n", number(fails, "thing fails", "things fail"))
	case warnings > 0:
		fmt.Fprintf(w, "\nNothing fails; %s.\n", number(warnings, "thing could be better", "things could be better"))
	default:
		fmt.Fprintln(w, "\nAll is well.")
	}
}

func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// indent breaks a text into lines that start below its beginning.
func indent(text string, column int) string {
	var out strings.Builder
	at := column
	for i, line := range strings.Split(text, "\n") {
		for j, word := range strings.Fields(line) {
			switch {
			case i > 0 && j == 0, j > 0 && at+1+len(word) > maxWidth:
				out.WriteString("\n" + strings.Repeat(" ", column))
				at = column
			case j > 0:
				out.WriteByte(' ')
				at++
			}
			out.WriteString(word)
			at += len(word)
		}
	}
	return out.String()
}

func (d *doctor) printJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		OK     bool        `json:"ok"`
		Checks []diagnosis `json:"checks"`
	}{d.count(bad) == 0, d.found})
}
