package workspace

import (
	"io"
	"path"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// linkMap maps the path of each symbolic link of a tree to its target as written.
type linkMap map[string]string

const (
	maxLink = 4096 // bytes of a link's target
	maxHops = 40   // links followed for one path; what Linux does
)

// links reads all symbolic links of a tree.
func (c *catFile) links(treeish string, max int) (linkMap, error) {
	entries, err := c.list(treeish, max)
	if err != nil {
		return nil, err
	}
	return c.readLinks(entries)
}

func (c *catFile) readLinks(entries []entry) (linkMap, error) {
	links := linkMap{}
	var found []entry
	var ids []string
	for _, e := range entries {
		if e.mode == modeLink {
			found, ids = append(found, e), append(ids, e.id)
		}
	}
	err := c.ask("contents", ids, func(o object, body io.Reader) error {
		if o.size > maxLink {
			return refuse("A symbolic link of the repository is too long.", found[o.index].path, "Remove the link.")
		}
		target, err := io.ReadAll(body)
		if err != nil {
			return &brokenError{err}
		}
		links[found[o.index].path] = string(target)
		return nil
	})
	return links, err
}

// resolve follows every link on the way to a path of the tree, as the operating system would. It
// reports false when the way leaves the tree or does not end.
func (l linkMap) resolve(name string) (string, bool) {
	todo := strings.Split(name, "/")
	at := "."
	for hops := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return "", false
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		target, isLink := l[next]
		if !isLink {
			at = next
			continue
		}
		if hops++; hops > maxHops || target == "" || strings.HasPrefix(target, "/") || strings.Contains(target, "\x00") {
			return "", false
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, true
}

// check refuses a tree with a link that leaves it: Terraform would read, through it, what
// belongs to the server or to another repository.
func (l linkMap) check() error {
	for name := range l {
		if _, ok := l.resolve(name); !ok {
			return refuse("A symbolic link of the repository leads out of it.", name,
				"Replace the link with a file, or let it lead to a file of the repository.")
		}
	}
	return nil
}

// aliases returns the further names that changed files have through links.
func (l linkMap) aliases(changed []string) []string {
	var aliases []string
	for link := range l {
		target, ok := l.resolve(link)
		if !ok {
			continue
		}
		for _, name := range changed {
			if rest, ok := below(target, name); ok {
				aliases = append(aliases, path.Join(link, rest))
			}
		}
	}
	return aliases
}

// below reports whether name is dir or lies in it, and where.
func below(dir, name string) (rest string, ok bool) {
	if dir == "." {
		return name, true
	}
	if name == dir {
		return "", true
	}
	return strings.CutPrefix(name, dir+"/")
}

// checkModes refuses entries that are neither directories, files nor links.
func checkModes(entries []entry) error {
	for _, e := range entries {
		switch {
		case e.mode == modeSub:
			return fault.New("The repository has a submodule.",
				"Submodules are not fetched: their address and content are outside the review.",
				"Copy what Terraform needs into the repository, or use a module source with a version.")
		case e.mode != modeTree && e.mode != modeLink && !e.regular():
			return refuse("The repository has an entry of an unknown kind.", e.path, "Remove it.")
		}
	}
	return nil
}
