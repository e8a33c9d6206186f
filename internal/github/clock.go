package github

import "time"

// Skew is how far GitHub's clock is ahead of ours, by its latest answer; 0 before the first.
func (a *App) Skew() time.Duration { return time.Duration(a.link.skew.Load()) }
