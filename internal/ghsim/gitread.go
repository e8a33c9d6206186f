package ghsim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// commit is a parsed commit object.
type commit struct {
	sha, tree         string
	parents           []string
	author, committer ident
	message           string
}

// commitObject reads one commit by anything git can resolve to one.
func (g gitDir) commitObject(rev string) (commit, error) {
	list, err := g.log("--max-count=1", rev)
	if err != nil {
		return commit{}, err
	}
	if len(list) == 0 {
		return commit{}, fmt.Errorf("no commit %s", rev)
	}
	return list[0], nil
}

func (g gitDir) between(from, to string) ([]commit, error) {
	args := []string{"--reverse", "--topo-order", to}
	if from != "" {
		args = append(args, "^"+from)
	}
	return g.log(args...)
}

const logFormat = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x00%x01"

// log lists commits, oldest last, as `git log` does.
func (g gitDir) log(args ...string) ([]commit, error) {
	args = append(append([]string{"log", "--no-show-signature", logFormat}, args...), "--")
	out, err := g.run(args...)
	if err != nil {
		return nil, err
	}
	var list []commit
	for rec := range strings.SplitSeq(out, "\x00\x01") {
		f := strings.Split(strings.TrimPrefix(rec, "\n"), "\x00")
		if len(f) != 10 {
			continue
		}
		list = append(list, commit{
			sha: f[0], tree: f[1], parents: strings.Fields(f[2]),
			author: parseIdent(f[3], f[4], f[5]), committer: parseIdent(f[6], f[7], f[8]),
			message: strings.TrimSuffix(f[9], "\n"),
		})
	}
	return list, nil
}

func parseIdent(name, email, unix string) ident {
	sec, _ := strconv.ParseInt(unix, 10, 64)
	return ident{name, email, time.Unix(sec, 0).UTC()}
}

// fileChange is one file of a diff, named as the API names it.
type fileChange struct {
	sha, path, previous, status string
	additions, deletions        int
	patch                       string // hunks only; empty for binary files
}

// diff compares two commits with rename detection. Three processes are avoided by asking for raw,
// numbers and text at once; the sections come in that order, files in the same order in each.
func (g gitDir) diff(from, to string) ([]fileChange, error) {
	args := []string{"diff-tree", "-r", "-M", "--full-index", "--no-commit-id", from, to}
	if from == "" {
		args = []string{"diff-tree", "-r", "-M", "--full-index", "--no-commit-id", "--root", to}
	}
	raw, err := g.run(append([]string{args[0], "--raw", "--numstat", "-z"}, args[1:]...)...)
	if err != nil {
		return nil, err
	}
	files := parseRaw(raw)
	text, err := g.run(append([]string{args[0], "-p"}, args[1:]...)...)
	if err != nil {
		return nil, err
	}
	for i, p := range splitPatch(text) {
		if i < len(files) {
			files[i].patch = p
		}
	}
	return files, nil
}

// parseRaw reads the NUL-separated output of --raw --numstat.
func parseRaw(out string) []fileChange {
	f := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	var files []fileChange
	i := 0
	for i < len(f) && strings.HasPrefix(f[i], ":") {
		col := strings.Fields(f[i])
		c := fileChange{sha: col[3], path: f[i+1], status: statusWord(col[4])}
		if c.sha == zeroSHA {
			c.sha = col[2]
		}
		i += 2
		if c.status == "renamed" || c.status == "copied" {
			c.previous, c.path = c.path, f[i]
			i++
		}
		files = append(files, c)
	}
	for k := 0; k < len(files) && i < len(f); k++ {
		col := strings.SplitN(f[i], "\t", 3)
		files[k].additions, _ = strconv.Atoi(col[0]) // "-" for binary files counts as 0
		files[k].deletions, _ = strconv.Atoi(col[1])
		i++
		if len(col) == 3 && col[2] == "" { // a rename's two names follow
			i += 2
		}
	}
	return files
}

func statusWord(letter string) string {
	words := map[byte]string{'A': "added", 'D': "removed", 'M': "modified", 'R': "renamed", 'C': "copied", 'T': "changed"}
	return words[letter[0]]
}

// splitPatch cuts a patch into the hunks of each file.
func splitPatch(text string) []string {
	var out []string
	for i, part := range strings.Split("\n"+text, "\ndiff --git ") {
		if i == 0 {
			continue
		}
		hunks := ""
		if at := strings.Index(part, "\n@@ "); at >= 0 {
			hunks = strings.TrimSuffix(part[at+1:], "\n")
		}
		out = append(out, hunks)
	}
	return out
}

// treeEntry is one entry of a directory.
type treeEntry struct {
	mode, kind, sha, path string
	size                  int
}

// list reads a directory of a commit; the root is "". A missing path gives an empty list.
func (g gitDir) list(rev, dir string) ([]treeEntry, error) {
	spec := rev + ":" + dir
	out, err := g.run("ls-tree", "-z", "--long", "--end-of-options", spec)
	if err != nil {
		return nil, err
	}
	var list []treeEntry
	for rec := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(rec, "\t")
		col := strings.Fields(meta)
		if !ok || len(col) != 4 {
			continue
		}
		size, _ := strconv.Atoi(col[3])
		list = append(list, treeEntry{col[0], col[1], col[2], strings.TrimPrefix(dir+"/"+name, "/"), size})
	}
	return list, nil
}
