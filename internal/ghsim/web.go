package ghsim

import "net/http"

func (s *Server) routeWeb() {
	s.web = http.NewServeMux()
}
