package github

import (
	"regexp"
	"strings"
)

// maxCommand is how many bytes a command may have.
const maxCommand = 200

// Command is what a comment asks for.
type Command struct {
	Name    string // plan, apply, unlock, cancel or help
	Project string // empty: every project of the pull request
}

// Usage is how commands are written, for answers to people.
const Usage = "A command is the whole comment, one line: `/plan`, `/plan PROJECT`, `/apply`, `/apply PROJECT`, `/unlock PROJECT`, `/cancel` or `/help`."

// commandPattern and projectPattern see bytes: no folding and no normalisation, after which other
// characters would look like these. A project cannot look like an option, nor lead out of a folder.
var (
	commandPattern = regexp.MustCompile(`^/(?:(plan|apply)(?: ([!-~]+))?|(unlock) ([!-~]+)|(cancel|help))$`)
	projectPattern = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._/-]*$`)
	nearPattern    = regexp.MustCompile(`(?i)^/(?:plan|apply|unlock|cancel|help)(?:[^A-Za-z0-9_-]|$)`)
)

// ParseCommand reads a comment. It is a command only if it is nothing else: one ASCII line, with
// line ends after it at most. If it only resembles one, hint says how commands are written; hint
// quotes nothing of the comment.
func ParseCommand(body string) (cmd Command, ok bool, hint string) {
	line := strings.TrimRight(body, "\r\n")
	m := commandPattern.FindStringSubmatch(line)
	if len(line) <= maxCommand && m != nil {
		cmd = Command{Name: m[1] + m[3] + m[5], Project: m[2] + m[4]}
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
