/** `npm run bench`: the benches of targets/lab/bench as one built program, which also plays each of their parties. */

import './main.ts';
