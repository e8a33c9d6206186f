package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

// mostRepositories is of how many repositories the doctor looks at the protection.
const mostRepositories = 50

// github looks at the App as GitHub has it.
func (d *doctor) github(ctx context.Context) {
	if d.AppKeyFile == "" || d.AppID == 0 {
		return // said already
	}
	key, ok := d.secret("App key", d.AppKeyFile)
	if !ok {
		return
	}
	app, err := github.New(github.Config{URL: d.GitHubURL, AppID: d.AppID, Key: redact.New(key)})
	if !d.tell("App key", d.AppKeyFile, err) {
		return
	}
	ctx, cancel := context.WithTimeout(github.Urgent(ctx), time.Minute)
	defer cancel()
	self, err := app.Self(ctx)
	if !d.tell("GitHub", fmt.Sprintf("%s knows the App %d as %s", d.GitHubURL, d.AppID, self.Slug), err) {
		return
	}
	d.clock(app.Skew())
	d.registration(ctx, app)
	d.hook(ctx, app)
	d.installations(ctx, app)
}

// clock compares this machine's with GitHub's, which tells whole seconds.
func (d *doctor) clock(skew time.Duration) {
	switch off := skew.Abs().Round(time.Second); {
	case off >= 10*time.Minute:
		d.say(bad, "clock", fmt.Sprintf("This machine's clock and GitHub's differ by %s: cloud providers refuse requests that are signed so.", off), "Set the clock, by NTP for example.")
	case off >= 30*time.Second:
		d.say(fair, "clock", fmt.Sprintf("This machine's clock and GitHub's differ by %s.", off), "Set the clock, by NTP for example.")
	default:
		d.say(good, "clock", "agrees with GitHub's", "")
	}
}

func (d *doctor) registration(ctx context.Context, app *github.App) {
	const check = "App permissions"
	asked, err := app.Registered(ctx)
	if err != nil {
		d.fail(bad, check, err)
		return
	}
	if more := asked.Exceeds(); len(more) > 0 {
		d.say(fair, check, "The App asks for more than is needed: "+strings.Join(more, ", ")+".", "Take it away on the App's settings page: whoever gets hold of the App's key has it too.")
	}
	if lacks := asked.Lacks(github.Permissions, github.Events); len(lacks) > 0 {
		d.say(bad, check, strings.TrimSpace("The App does not ask for "+strings.Join(lacks, ", ")+". "+why(lacks)), permissionFix)
		return
	}
	d.say(good, check, "all that are needed", "")
	if lacks := asked.Lacks(github.OptionalPermissions, github.OptionalEvents); len(lacks) > 0 {
		d.say(good, check, "without "+strings.Join(lacks, ", ")+", which only teams, CODEOWNERS and merge queues need", "")
	}
}

func (d *doctor) hook(ctx context.Context, app *github.App) {
	const check = "webhook"
	url, err := app.HookURL(ctx)
	want := strings.TrimRight(d.PublicURL, "/") + "/webhooks/github"
	switch {
	case err != nil:
		d.fail(bad, check, err)
	case url == "":
		d.say(bad, check, "The App has no webhook: nobody tells the server what happens.", "Set its address on the App's settings page, ending in /webhooks/github.")
	case d.PublicURL != "" && url != want:
		d.say(fair, check, "GitHub delivers to "+url+", and the server's address is "+want+".", "Correct one of the two, unless a proxy leads there.")
	case !strings.HasSuffix(url, "/webhooks/github"):
		d.say(bad, check, "GitHub delivers to "+url+", where the server does not listen.", "Its path has to be /webhooks/github.")
	default:
		d.say(good, check, "GitHub delivers to "+url, "")
	}
}

func (d *doctor) installations(ctx context.Context, app *github.App) {
	const check = "installation"
	all, err := app.Installations(ctx)
	if err != nil {
		d.fail(bad, check, err)
		return
	}
	if len(all) == 0 {
		d.say(fair, check, "The App is installed nowhere.", "Install it on the repositories that it is to guard, from the App's page.")
	}
	left := mostRepositories
	for _, i := range all {
		if i.Suspended {
			d.say(fair, check, i.Account.Login+" has suspended the App.", "")
			continue
		}
		granted, err := app.Granted(ctx, i.ID)
		if err != nil {
			d.fail(bad, check, err)
			continue
		}
		if lacks := granted.Lacks(github.Permissions, github.Events); len(lacks) > 0 {
			d.say(bad, check, i.Account.Login+" has not given the App "+strings.Join(lacks, ", ")+".", "Its owner accepts that under Settings → GitHub Apps.")
		} else {
			d.say(good, check, i.Account.Login, "")
		}
		left = d.protection(ctx, app, i, left)
	}
}

// protection looks whether merges wait for the check, in so many repositories at most, and returns how
// many are left.
func (d *doctor) protection(ctx context.Context, app *github.App, i github.Installation, most int) int {
	const check = "protection"
	repos, err := app.Repositories(ctx, i.ID)
	if err != nil {
		d.fail(bad, check, err)
		return most
	}
	for n, repo := range repos {
		if most--; most < 0 {
			d.say(good, check, fmt.Sprintf("%s has %d more repositories, which were not looked at", i.Account.Login, len(repos)-n), "")
			return 0
		}
		required, ours, branch, err := app.Requires(ctx, repo, "tollgate")
		at := repo.FullName() + ", branch " + branch
		switch {
		case err != nil:
			d.fail(fair, check, err)
		case !required:
			d.say(fair, check, at+": nothing waits for the check, so a change can be merged that was refused.", "Require the status check \"tollgate\", with the App as its expected source.")
		case !ours:
			d.say(fair, check, at+": whoever can write can report a check of that name.", "Choose the App as the expected source of the required check \"tollgate\".")
		default:
			d.say(good, check, at+": merges wait for the check", "")
		}
	}
	return most
}
