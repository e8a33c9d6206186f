-- +goose Up

-- Who has signed in to the pages. The browser has the token; the row has its digest, so a copy of the
-- database signs nobody in.
create table sessions (
	token_sha256 text primary key,
	user_id      integer not null,
	login        text    not null,
	ends_at      integer not null
);

-- +goose Down
drop table sessions;
