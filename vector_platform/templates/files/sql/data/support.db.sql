CREATE TABLE tickets (
    id TEXT PRIMARY KEY, customer TEXT, subject TEXT, body TEXT, product TEXT, updated_at TEXT
);
INSERT INTO tickets VALUES
    ('t1', 'north', 'Cannot log in', 'The password was changed, and the old one is still asked for on the telephone.', 'app', '2026-01-05'),
    ('t2', 'north', 'Invoice is missing', 'The invoice of December did not arrive by mail. Please send it again as a PDF.', 'billing', '2026-01-07'),
    ('t3', 'south', 'Delivery is late', 'The parcel was promised for Monday and has not left the warehouse.', 'shop', '2026-01-08'),
    ('t4', 'south', 'Wrong size', 'The jacket is too small. How is it exchanged for a larger one?', 'shop', '2026-01-09'),
    ('t5', 'north', 'Two factors', 'A new telephone has no codes for signing in. How are the two factors set up again?', 'app', '2026-01-12'),
    ('t6', 'south', 'Refund', 'The money of the returned shoes has not been paid back after ten days.', 'billing', '2026-01-13'),
    ('t7', 'north', 'Export of all orders', 'Is there a way to get all orders of a year as a table?', 'app', '2026-01-14'),
    ('t8', 'south', 'Damaged parcel', 'The box was wet and the book in it is ruined. A photograph is attached.', 'shop', '2026-01-15'),
    ('t9', 'north', 'Change of address', 'We have moved. Where is the address of the company changed?', 'billing', '2026-01-16'),
    ('t10', 'south', 'Newsletter', 'Please take this address off the newsletter.', 'shop', '2026-01-19');
