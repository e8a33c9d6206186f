package report

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
)

// noticeBudget is how much remarks on waivers may take of a check, in bytes.
const noticeBudget = 8_000

// notices renders what somebody has to look at although no resource is at fault.
func (p *page) notices(all []change.Notice, src source) {
	var items []string
	for _, n := range all {
		where := src.link(change.Finding{File: n.File, Line: n.Line})
		items = append(items, "- **"+prose(n.What)+"** "+join(" ", sentence(n.Why), sentence(n.Fix), where)+"\n")
	}
	p.list(fmt.Sprintf("#### 📌 Waivers: %s to look at", plural(len(items), "thing")), items, noticeBudget, "things", "")
}
