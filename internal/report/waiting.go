package report

import (
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// Waiting is a check that cannot be kept up to date for a while, because GitHub allows no more requests.
func Waiting(c change.Check, until time.Time) change.Check {
	at := until.UTC().Format("15:04 MST")
	c.Status, c.Conclusion, c.Buttons, c.Annotations, c.Text = "in_progress", "", nil, nil, ""
	c.Title = "Waiting for GitHub's rate limit until " + at
	c.Summary = "GitHub allows the App a number of requests an hour, and most of it is used up. The rest is kept for decisions. " +
		"Work goes on meanwhile and nothing is lost: this check is brought up to date after " + at + "."
	return c
}
