package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// ledgerPlace is where the ledger and its anchor lie.
type ledgerPlace struct{ dataDir, database string }

func (p ledgerPlace) file() (string, error) {
	s := settings{DataDir: p.dataDir}
	file := s.path(p.database, "tollgate.db")
	if _, err := os.Stat(file); err != nil {
		return "", fault.Wrap(err, "There is no database in the data directory.", "The ledger is kept in it.", "Give the server's directory with --data-dir.")
	}
	return file, nil
}

// auditCommand reads the ledger. A server may be running meanwhile.
func auditCommand() *cobra.Command {
	var p ledgerPlace
	cmd := &cobra.Command{Use: "audit", Short: "Check, show and export the ledger of decisions"}
	cmd.PersistentFlags().StringVar(&p.dataDir, "data-dir", os.Getenv(envName("data-dir")), "directory that the server keeps its database in")
	cmd.PersistentFlags().StringVar(&p.database, "database", os.Getenv(envName("database")), "sqlite:FILE, if the database lies elsewhere")
	cmd.AddCommand(auditVerify(&p), auditExport(&p), auditShow(&p), auditAcknowledge(&p))
	return cmd
}

func auditVerify(p *ledgerPlace) *cobra.Command {
	return &cobra.Command{Use: "verify [FILE]", Short: "Check that no row was changed, removed, put between or cut off, here or in an export",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if len(args) == 1 {
				r, filter, err := verifyFile(c.InOrStdin(), args[0], nil)
				if err != nil {
					return err
				}
				return printReport(out, r, func() {
					if r.Hidden > 0 {
						fmt.Fprintf(out, "It is an extract%s: %d rows are shown and proven to stand in this ledger, unchanged and at their places;\n%d are left out, of which only the hashes are known. That none of those matters, only a whole export shows.\n",
							described(filter), r.Rows-int64(r.Hidden), r.Hidden)
					}
					fmt.Fprintln(out, "It proves itself only. That it is the ledger of this server, the hash in a check on GitHub shows, or `bot audit verify` there.")
				})
			}
			file, err := p.file()
			if err != nil {
				return err
			}
			db, err := store.OpenToRead(c.Context(), file)
			if err != nil {
				return err
			}
			defer db.Close()
			r, err := store.Read(c.Context(), db, func(tx *store.Tx) (audit.Report, error) { return audit.Verify(c.Context(), tx, p.dataDir) })
			if err != nil {
				return err
			}
			return printReport(out, r, func() { printAnchor(out, r) })
		}}
}

// verifyFile checks an export, which - stands for standard input.
func verifyFile(stdin io.Reader, name string, f func(audit.Row) error) (audit.Report, audit.Filter, error) {
	if name == "-" {
		return audit.VerifyExport(stdin, f)
	}
	file, err := os.Open(name)
	if err != nil {
		return audit.Report{}, audit.Filter{}, fault.Wrap(err, "The export cannot be read: "+name+".", "", "Check the path.")
	}
	defer file.Close()
	return audit.VerifyExport(file, f)
}

func printReport(out io.Writer, r audit.Report, more func()) error {
	if r.Flaw != nil {
		fmt.Fprintf(out, "The ledger does not hold: %s.\n", r.Flaw.Text)
		if r.Rows > 0 {
			fmt.Fprintf(out, "Rows 1 to %d hold, until %s.\n", r.Rows, r.To)
		}
		return exitStatus(1)
	}
	fmt.Fprintf(out, "The ledger holds: %d rows, each continuing the one before.\n", r.Rows)
	if r.Rows == 0 {
		return nil
	}
	if r.From != "" {
		fmt.Fprintf(out, "From %s to %s.\n", r.From, r.To)
	}
	fmt.Fprintf(out, "Last row %d: sha256 %s\n", r.Head.Seq, r.Head.Hash)
	more()
	return nil
}

func printAnchor(out io.Writer, r audit.Report) {
	switch {
	case r.Anchored == 0:
		fmt.Fprintln(out, "There is no anchor yet: the server writes one when it starts.")
	case r.Since > 0:
		fmt.Fprintf(out, "The anchor confirms %d rows; the last %d are newer than it.\n", r.Anchored, r.Since)
	default:
		fmt.Fprintf(out, "The anchor confirms it up to the last row.\n")
	}
	for _, b := range r.Back {
		fmt.Fprintf(out, "Row %d: a database that was older than the anchor was accepted, at %s: %s\n", b.Seq, b.At, b.Subject)
	}
}

// auditFilter are the flags that choose rows.
type auditFilter struct {
	audit.Filter
	since, until string
}

func (f *auditFilter) register(c *cobra.Command) {
	c.Flags().StringVar(&f.Repo, "repo", "", "only of this repository: OWNER/NAME, or its id")
	c.Flags().IntVar(&f.Pull, "pull", 0, "only of this pull request")
	c.Flags().StringVar(&f.Project, "project", "", "only of this project")
	c.Flags().StringVar(&f.since, "since", "", "from this day or time on, such as 2026-01-31 or 2026-01-31T12:00:00Z")
	c.Flags().StringVar(&f.until, "until", "", "before this day or time")
}

func (f *auditFilter) parse() (out audit.Filter, err error) {
	if f.Since, err = moment("since", f.since); err != nil {
		return out, err
	}
	f.Until, err = moment("until", f.until)
	return f.Filter, err
}

func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New("The flag --"+flag+" is no day and no time: "+strconv.Quote(text)+".", "", "Write it as 2026-01-31 or 2026-01-31T12:00:00Z; a day begins at midnight UTC.")
}

// described is the filter in words.
func described(f audit.Filter) string {
	var parts []string
	for name, v := range map[string]string{"repository": f.Repo, "project": f.Project} {
		if v != "" {
			parts = append(parts, name+" "+strconv.Quote(v))
		}
	}
	if f.Pull != 0 {
		parts = append(parts, fmt.Sprintf("pull request %d", f.Pull))
	}
	if !f.Since.IsZero() {
		parts = append(parts, "since "+f.Since.Format(time.RFC3339))
	}
	if !f.Until.IsZero() {
		parts = append(parts, "until "+f.Until.Format(time.RFC3339))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// account is who uses the terminal, for the ledger.
func account() change.User {
	out := change.User{ID: int64(os.Getuid()), Login: strconv.Itoa(os.Getuid())}
	if u, err := user.Current(); err == nil {
		out.Login = u.Username
	}
	return out
}

// opened calls f with the ledger after a row says that somebody reads it. Reading that leaves no
// row would be found in no review of the ledger (PCI DSS 10.2.1.3).
func (p *ledgerPlace) opened(c *cobra.Command, action string, subject map[string]any, f func(*store.DB) error) error {
	file, err := p.file()
	if err != nil {
		return err
	}
	if db, err := store.OpenToRead(c.Context(), file); err != nil { // nobody upgrades a database by reading it
		return err
	} else if err := db.Close(); err != nil {
		return err
	}
	db, err := store.Open(c.Context(), file)
	if err != nil {
		return err
	}
	defer db.Close()
	if action != "" {
		if _, err := audit.Hold(c.Context(), db, p.dataDir); err != nil {
			return err
		}
		err := db.Write(c.Context(), func(tx *store.Tx) error {
			return audit.Append(c.Context(), tx, audit.Entry{Actor: account(), Kind: audit.ActorOS, Action: action, Outcome: audit.Allowed, Origin: "terminal", Subject: subject})
		})
		if err != nil {
			return fault.Wrap(err, "The ledger cannot be read, because that cannot be written into it.", "Whoever reads the ledger is recorded in it.", "Use an account that may write the data directory, or `bot audit verify`, which changes nothing.")
		}
	}
	return f(db)
}

func auditExport(p *ledgerPlace) *cobra.Command {
	var f auditFilter
	cmd := &cobra.Command{Use: "export", Short: "Write the ledger as lines of JSON that `bot audit verify FILE` can check anywhere", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := f.parse()
			if err != nil {
				return err
			}
			return p.opened(c, audit.ActionExport, map[string]any{"filter": filter}, func(db *store.DB) error {
				return db.Write(c.Context(), func(tx *store.Tx) error { return audit.Export(c.Context(), tx, c.OutOrStdout(), filter) })
			})
		}}
	f.register(cmd)
	return cmd
}

func auditShow(p *ledgerPlace) *cobra.Command {
	var f auditFilter
	var format string
	cmd := &cobra.Command{Use: "show [FILE]", Short: "Show each apply: who approved what, under which policies, and what became of it", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			filter, err := f.parse()
			if err != nil {
				return err
			}
			if format != "text" && format != "json" {
				return fault.New("Unknown format "+strconv.Quote(format)+".", "", "Use --format text or json.")
			}
			var changes audit.Changes
			if len(args) == 1 {
				r, _, err := verifyFile(c.InOrStdin(), args[0], changes.Add)
				if err != nil {
					return err
				}
				if r.Flaw != nil {
					return printReport(c.OutOrStdout(), r, nil)
				}
				return printChanges(c.OutOrStdout(), format, changes.Of(filter))
			}
			return p.opened(c, audit.ActionShow, map[string]any{"filter": filter}, func(db *store.DB) error {
				err := db.Write(c.Context(), func(tx *store.Tx) error { return audit.Each(c.Context(), tx, changes.Add) })
				if err != nil {
					return err
				}
				return printChanges(c.OutOrStdout(), format, changes.Of(filter))
			})
		}}
	f.register(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json, one object a line")
	return cmd
}

func printChanges(out io.Writer, format string, changes []audit.Change) error {
	if format == "json" {
		enc := json.NewEncoder(out)
		for _, x := range changes {
			if err := enc.Encode(x); err != nil {
				return err
			}
		}
		return nil
	}
	if len(changes) == 0 {
		fmt.Fprintln(out, "No apply matches.")
	}
	for i, x := range changes {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s: %s of pull request #%d in %s\n", x.Authorised, x.Project, x.Pull, either(x.Name, x.Repository.String()))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		row := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "  %s\t%s\n", name, value)
			}
		}
		row("outcome", outcomeOf(x))
		row("asked by", person(x.Actor)+", "+x.Origin)
		for _, a := range x.Approvers {
			text := person(audit.Actor{ID: a.ID, Login: a.Login})
			if a.Review != 0 {
				text += fmt.Sprintf(", review %d at %s", a.Review, a.At)
			}
			row("approved by", text)
		}
		row("commit", x.Commit+" (head "+x.Head+", base "+x.Base+")")
		row("plan", x.Plan+", effect "+x.Effect)
		row("policies", x.Policies)
		row("waivers", strings.Join(x.Waivers, ", "))
		row("proof", x.Proof)
		if x.Resolved != nil {
			row("resolved by", person(x.Resolved.Actor)+", "+x.Resolved.Origin+" at "+x.Resolved.At)
		}
		row("ledger", fmt.Sprintf("rows %s; the last has sha256 %s", strings.Trim(fmt.Sprint(x.Rows), "[]"), x.Hash))
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func outcomeOf(x audit.Change) string {
	text := x.Outcome
	if x.State != "" && x.State != x.Outcome {
		text += " (" + x.State + ")"
	}
	if x.Ended != "" {
		text += " at " + x.Ended
	}
	return text
}

func person(a audit.Actor) string {
	return fmt.Sprintf("%s (%s%d)", a.Login, strings.TrimLeft(a.Kind+" ", " "), a.ID)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return "repository " + b
}

func auditAcknowledge(p *ledgerPlace) *cobra.Command {
	var by, reason string
	cmd := &cobra.Command{Use: "acknowledge", Short: "Accept a database that was restored from a backup, so that the server applies again", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if strings.TrimSpace(by) == "" || strings.TrimSpace(reason) == "" {
				return fault.New("Who acknowledges, and why, is missing.", "It stands in the ledger for whoever asks later.", "Give --by NAME and --reason TEXT.")
			}
			return p.opened(c, "", nil, func(db *store.DB) error {
				found, err := audit.Acknowledge(c.Context(), db, p.dataDir, audit.Entry{Actor: account(), Kind: audit.ActorOS, Action: audit.ActionAcknowledge,
					Outcome: audit.Allowed, Origin: "terminal", Subject: map[string]any{"by": by, "reason": reason}})
				if err != nil {
					return err
				}
				if found == nil {
					fmt.Fprintln(c.OutOrStdout(), "There is nothing to acknowledge: the ledger goes on from its anchor.")
					return nil
				}
				fmt.Fprintf(c.OutOrStdout(), "Acknowledged: %s.\nThe server applies again. What was applied after the backup is not in this database: look at the checks on GitHub, and plan open pull requests again.\n", found.Text)
				return nil
			})
		}}
	cmd.Flags().StringVar(&by, "by", "", "your name")
	cmd.Flags().StringVar(&reason, "reason", "", "why the database is older, and what was made sure of")
	return cmd
}
