//! `man`: a command's manual page, from its own command line definition.

use std::io::{self, Write};

/// Writes the manual page of `command`, with a section for each subcommand, to `out` as roff.
///
/// # Errors
/// Those of `out`.
pub fn write(command: &clap::Command, out: &mut dyn Write) -> io::Result<()> {
    let mut command = command.clone();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render(out)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let page = clap_mangen::Man::new(sub.clone());
        writeln!(out, ".SH {}", sub.get_name().to_uppercase())?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
        page.render_extra_section(out)?;
    }
    Ok(())
}
