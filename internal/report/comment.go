package report

import (
	"strings"
)

// Marker is hidden at the start of the summary comment, so that it is found again and edited.
const Marker = "<!-- tollgate:summary -->"

// Comment renders the one summary comment of a pull request. It never starts with a slash, so that
// no bot takes it for a command.
func Comment(p Pull) string {
	foot := commentFoot(p)
	out := page{limit: MaxComment - len(foot)}
	out.block(Marker + "\n### " + p.status().mark() + " " + prose(oneLine(p.Title(), MaxTitle)))
	out.overview(p)
	return out.String() + foot
}

func commentFoot(p Pull) string {
	const commands = "commands: `/plan`, `/apply`, `/unlock`, `/cancel`, `/help`"
	foot := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(gateFoot(p)), "<sub>"), "</sub>")
	return footer(foot, commands)
}
