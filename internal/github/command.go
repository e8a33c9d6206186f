package github

import (
	"regexp"
	"strings"
)

// maxCommand is how many bytes a command may have.
const maxCommand = 200

// Command is what a comment asks for.
type Command struct {
	Name       string // plan, apply, unlock, resolve, break-glass, cancel or help
	Project    string // empty: every project of the pull request
	Plan       string // of apply and break-glass: the short id of the one plan that it is about
	Resolution string // of resolve: applied or reconcile
	Reason     string // of resolve, and of whoever asks to break the glass
}

// String is the command as its author wrote it.
func (c Command) String() string {
	s := "/" + c.Name
	if c.Project != "" {
		s += " " + c.Project
	}
	if c.Plan != "" {
		s += "@" + c.Plan
	}
	if c.Resolution != "" {
		s += " " + c.Resolution
	}
	if c.Reason != "" {
		s += " " + c.Reason
	}
	return s
}

// Usage is how commands are written, for answers to people.
const Usage = "A command is the whole comment, one line: `/plan`, `/plan PROJECT`, `/apply`, `/apply PROJECT`, `/apply PROJECT@PLAN`, `/unlock PROJECT`, " +
	"`/resolve PROJECT applied REASON`, `/resolve PROJECT reconcile REASON`, `/break-glass PROJECT REASON`, `/break-glass PROJECT@PLAN`, `/cancel` or `/help`."

// commandPattern and projectPattern see bytes: no folding and no normalisation, after which other
// characters would look like these. A project cannot look like an option, nor lead out of a folder.
var (
	commandPattern = regexp.MustCompile(`^/(?:(plan)(?: ([!-~]+))?|(apply)(?: ([!-?A-~]+)(?:@([0-9a-f]{8}))?)?|(unlock) ([!-~]+)|(resolve) ([!-~]+) (applied|reconcile) ([!-~](?:[ -~]*[!-~])?)|(cancel|help))$`)
	projectPattern = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._/-]*$`)
	// Who asks gives a reason; who confirms names the plan. A reason is printable and its ends are not blank.
	glassPattern = regexp.MustCompile(`^/(break-glass) ([!-?A-~]+)(?:@([0-9a-f]{8})| ([!-~](?:[ -~]*[!-~])?))$`)
	nearPattern  = regexp.MustCompile(`(?i)^/(?:plan|apply|unlock|resolve|break-glass|cancel|help)(?:[^A-Za-z0-9_-]|$)`)
)

// ParseCommand reads a comment. It is a command only if it is nothing else: one ASCII line, with
// line ends after it at most. If it only resembles one, hint says how commands are written; hint
// quotes nothing of the comment.
func ParseCommand(body string) (cmd Command, ok bool, hint string) {
	line := strings.TrimRight(body, "\r\n")
	if m := glassPattern.FindStringSubmatch(line); m != nil && len(line) <= maxCommand && validProject(m[2]) {
		return Command{Name: m[1], Project: m[2], Plan: m[3], Reason: m[4]}, true, ""
	}
	m := commandPattern.FindStringSubmatch(line)
	if len(line) <= maxCommand && m != nil {
		cmd = Command{Name: m[1] + m[3] + m[6] + m[8] + m[12], Project: m[2] + m[4] + m[7] + m[9], Plan: m[5], Resolution: m[10], Reason: m[11]}
		if cmd.Project == "" || validProject(cmd.Project) {
			return cmd, true, ""
		}
	}
	if nearPattern.MatchString(strings.TrimLeft(line, " \t\r\n")) {
		return Command{}, false, Usage
	}
	return Command{}, false, ""
}

func validProject(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == ".." || (segment == "." && name != ".") {
			return false
		}
	}
	return projectPattern.MatchString(name)
}
