/** Half of the searches (searches.ts). */
import { searchHalf } from './searches.ts';

searchHalf(1);
