package change

// Notice is a remark on a judgement that somebody has to act on although no resource is at fault,
// such as a waiver that has expired. It never blocks by itself.
type Notice struct {
	Kind string `json:"kind"`           // one word or two that name the remark, such as expired
	File string `json:"file,omitempty"` // slash-separated, relative to the repository's root
	Line int    `json:"line,omitempty"` // 1-based
	What string `json:"what"`           // one sentence: what is wrong
	Why  string `json:"why"`            // why it matters
	Fix  string `json:"fix"`            // what to do about it
}
