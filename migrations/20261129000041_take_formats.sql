-- Pages, tables and PDFs become documents as well. What is kept of them is text all the same.
alter table documents drop constraint documents_mime_type;
alter table documents add constraint documents_mime_type
    check (mime_type in ('text/markdown', 'text/plain', 'text/html', 'text/csv', 'application/pdf'));
