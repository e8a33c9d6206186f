package change

// Check is the public face of a verdict on one commit. Its texts are within GitHub's limits when
// it leaves package report; see the constants there.
type Check struct {
	Name        string
	HeadSHA     string
	ExternalID  string // our id for it, so that a repeated report finds the same check
	DetailsURL  string
	Status      string // queued, in_progress or completed
	Conclusion  string // success, failure, neutral, cancelled, timed_out or action_required; empty until completed
	Title       string
	Summary     string // Markdown
	Text        string // Markdown
	Annotations []Annotation
	Buttons     []Button
}

// Annotation points at lines of a file of the head commit.
type Annotation struct {
	Path      string
	StartLine int // 1-based
	EndLine   int
	Level     string // failure, warning or notice
	Title     string
	Message   string
}

// Button is an action that a person can request from the check's page.
type Button struct {
	Label       string // at most 20 characters
	Description string // at most 40 characters
	Identifier  string // at most 20 characters
}
