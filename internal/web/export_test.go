package web

// MaxStreams lets the tests reach the limit.
const MaxStreams = maxStreams
