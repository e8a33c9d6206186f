package ghsim

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// around is how many lines are shown on each side of an annotation outside the diff.
const around = 3

var hunkHead = regexp.MustCompile(`^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@`)

// diffView is the pull request's diff with the annotations of its checks on their lines, and the
// annotations on files that it doesn't change.
func (s *Server) diffView(p *pull) (changed, elsewhere []fileView, err error) {
	files, err := s.files(p)
	if err != nil {
		return nil, nil, err
	}
	notes := map[string][]noteView{}
	for _, x := range s.latestRuns(p.repo, p.headSHA) {
		for _, a := range x.annotations {
			notes[a.Path] = append(notes[a.Path], s.noteView(x, a))
		}
	}
	for _, f := range files {
		v := fileView{Path: f.path, Previous: f.previous, Status: f.status, Additions: f.additions, Deletions: f.deletions}
		if p.open() && f.status != "removed" {
			v.EditLink = fmt.Sprintf("/%s/pull/%d/edit?path=%s", p.repo.fullName(), p.number, url.QueryEscape(f.path))
		}
		v.Hunks = parseHunks(f.patch)
		v.Notes = placeNotes(v.Hunks, notes[f.path])
		v.Hunks = append(v.Hunks, s.snippets(p, f.path, v.Notes)...)
		changed = append(changed, v)
		delete(notes, f.path)
	}
	for path, list := range notes {
		elsewhere = append(elsewhere, fileView{Path: path, Status: "unchanged", Hunks: s.snippets(p, path, list), Notes: list})
	}
	slices.SortFunc(elsewhere, func(a, b fileView) int { return strings.Compare(a.Path, b.Path) })
	return changed, elsewhere, nil
}

// parseHunks numbers the lines of a patch.
func parseHunks(patch string) []hunkView {
	var hunks []hunkView
	oldLine, newLine := 0, 0
	for text := range strings.SplitSeq(patch, "\n") {
		if m := hunkHead.FindStringSubmatch(text); m != nil {
			oldLine, _ = strconv.Atoi(m[1])
			newLine, _ = strconv.Atoi(m[2])
			hunks = append(hunks, hunkView{Head: text})
			continue
		}
		if len(hunks) == 0 || text == "" || text[0] == '\\' {
			continue
		}
		h := &hunks[len(hunks)-1]
		l := lineView{Text: text[1:]}
		switch text[0] {
		case '+':
			l.Kind, l.New = "add", newLine
			newLine++
		case '-':
			l.Kind, l.Old = "del", oldLine
			oldLine++
		default:
			l.Kind, l.Old, l.New = "same", oldLine, newLine
			oldLine, newLine = oldLine+1, newLine+1
		}
		h.Lines = append(h.Lines, l)
	}
	return hunks
}

// placeNotes puts notes on the lines that are there and returns the others.
func placeNotes(hunks []hunkView, notes []noteView) []noteView {
	var left []noteView
	for _, n := range notes {
		if line := findLine(hunks, n.Line); line != nil {
			line.Notes = append(line.Notes, n)
		} else {
			left = append(left, n)
		}
	}
	return left
}

func findLine(hunks []hunkView, number int) *lineView {
	for i := range hunks {
		for k := range hunks[i].Lines {
			if hunks[i].Lines[k].New == number {
				return &hunks[i].Lines[k]
			}
		}
	}
	return nil
}

// snippets shows the source around notes that lie outside the diff.
func (s *Server) snippets(p *pull, path string, notes []noteView) []hunkView {
	if len(notes) == 0 {
		return nil
	}
	data, err := p.repo.git.blob(p.headSHA + ":" + path)
	if err != nil {
		return nil // an annotation may name a file that isn't there
	}
	source := strings.Split(data, "\n")
	var hunks []hunkView
	for _, n := range notes {
		if line := findLine(hunks, n.Line); line != nil {
			line.Notes = append(line.Notes, n)
			continue
		}
		h := hunkView{Head: "outside the diff, " + n.Lines}
		for i := max(1, n.Line-around); i <= min(len(source), n.Line+around); i++ {
			l := lineView{Kind: "same", Old: i, New: i, Text: source[i-1]}
			if i == n.Line {
				l.Notes = []noteView{n}
			}
			h.Lines = append(h.Lines, l)
		}
		hunks = append(hunks, h)
	}
	return hunks
}

// editView offers a file of the head branch for a small change.
func (s *Server) editView(p *pull, path string) *editView {
	e := &editView{Path: path}
	if files, err := s.files(p); err == nil {
		for _, f := range files {
			e.Paths = append(e.Paths, f.path)
		}
	}
	if path != "" {
		// a path that isn't there yet is a new file
		e.Content, _ = p.headRepo.git.blob(p.headSHA + ":" + path)
	}
	return e
}
