package ghsim

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
)

var gitRoutes = []route{
	{"GET /repos/{owner}/{repo}/git/ref/{ref}", "contents:read", (*Server).getRef},
	{"GET /repos/{owner}/{repo}/git/matching-refs/{ref}", "contents:read", (*Server).matchingRefs},
	{"GET /repos/{owner}/{repo}/git/commits/{commit_sha}", "contents:read", (*Server).getGitCommit},
	{"GET /repos/{owner}/{repo}/git/blobs/{file_sha}", "contents:read", (*Server).getBlob},
	{"POST /repos/{owner}/{repo}/git/refs", "contents:write", (*Server).createRef},
	{"PATCH /repos/{owner}/{repo}/git/refs/{ref}", "contents:write", (*Server).updateRef},
	{"DELETE /repos/{owner}/{repo}/git/refs/{ref}", "contents:write", (*Server).deleteRef},
}

func (s *Server) refShape(r *repo, name, sha string) obj {
	return obj{
		"ref": name, "node_id": nodeID("Ref", r.id) + name, "url": s.apiRepo(r) + "/git/" + name,
		"object": obj{"type": "commit", "sha": sha, "url": s.apiRepo(r) + "/git/commits/" + sha},
	}
}

func (s *Server) getRef(c *call) *reply {
	name := "refs/" + c.r.PathValue("ref")
	sha := c.repo.git.ref(name)
	if sha == "" {
		return notFound()
	}
	return ok(s.refShape(c.repo, name, sha))
}

func (s *Server) matchingRefs(c *call) *reply {
	prefix := "refs/" + c.r.PathValue("ref")
	refs, err := c.repo.git.refs("refs/")
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	items := []obj{}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if strings.HasPrefix(name, prefix) {
			items = append(items, s.refShape(c.repo, name, refs[name]))
		}
	}
	return ok(items)
}

func (s *Server) getGitCommit(c *call) *reply {
	sha := c.r.PathValue("commit_sha")
	at, err := s.commit(c.repo, sha)
	if !isSHA(sha) || err != nil {
		return notFound()
	}
	full := s.commitShape(c.repo, at)
	inner := full["commit"].(obj)
	return ok(obj{
		"sha": at.sha, "node_id": full["node_id"], "url": inner["url"], "html_url": full["html_url"],
		"author": inner["author"], "committer": inner["committer"], "tree": inner["tree"], "message": at.message,
		"parents": full["parents"], "verification": inner["verification"],
	})
}

func (s *Server) getBlob(c *call) *reply {
	sha := c.r.PathValue("file_sha")
	if !isSHA(sha) {
		return notFound()
	}
	data, err := c.repo.git.blob(sha)
	if err != nil {
		return notFound()
	}
	return ok(obj{
		"sha": sha, "node_id": nodeID("Blob", c.repo.id) + sha, "size": len(data), "encoding": "base64",
		"url": s.apiRepo(c.repo) + "/git/blobs/" + sha, "content": wrap(base64.StdEncoding.EncodeToString([]byte(data))),
	})
}

func (s *Server) createRef(c *call) *reply {
	var in struct{ Ref, SHA string }
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	switch {
	case !strings.HasPrefix(in.Ref, "refs/heads/") && !strings.HasPrefix(in.Ref, "refs/tags/"):
		return fail(http.StatusUnprocessableEntity, "Reference name must start with 'refs/heads/' or 'refs/tags/'.")
	case c.repo.git.ref(in.Ref) != "":
		return fail(http.StatusUnprocessableEntity, "Reference already exists")
	case !isSHA(in.SHA) || c.repo.git.ref(in.SHA) == "":
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	if fault := s.writeRef(c, in.Ref, "", in.SHA); fault != nil {
		return fault
	}
	return created(s.refShape(c.repo, in.Ref, in.SHA))
}

func (s *Server) updateRef(c *call) *reply {
	var in struct {
		SHA   string
		Force bool
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	name := "refs/" + c.r.PathValue("ref")
	before := c.repo.git.ref(name)
	switch {
	case before == "":
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	case !isSHA(in.SHA) || c.repo.git.ref(in.SHA) == "":
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	case !in.Force && !s.isAncestor(c.repo, before, in.SHA):
		return fail(http.StatusUnprocessableEntity, "Update is not a fast forward")
	}
	if fault := s.writeRef(c, name, before, in.SHA); fault != nil {
		return fault
	}
	return ok(s.refShape(c.repo, name, in.SHA))
}

func (s *Server) deleteRef(c *call) *reply {
	name := "refs/" + c.r.PathValue("ref")
	before := c.repo.git.ref(name)
	if before == "" {
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	if fault := s.writeRef(c, name, before, ""); fault != nil {
		return fault
	}
	return noContent()
}

func (s *Server) writeRef(c *call, name, before, after string) *reply {
	err := c.repo.git.setRefs(map[string]string{name: after})
	if err == nil {
		err = s.refChanged(c.repo, c.actor.user, name, before, after)
	}
	if err != nil {
		return fail(http.StatusUnprocessableEntity, err.Error())
	}
	return nil
}
