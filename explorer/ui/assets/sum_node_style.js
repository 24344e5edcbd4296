/** The style sheet of the sum node's diagram. */

import { styled } from "./dom.js";

await styled("sum_node");
