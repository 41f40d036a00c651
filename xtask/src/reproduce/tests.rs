mod command_lines;
mod runs;
