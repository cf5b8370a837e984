namespace Postwright.Commands.Shared;

/// <summary>
/// What <c>COMMAND --help</c> prints: the options that work, one a line, in standard output and with exit status 0. A usage
/// error prints Postfix's own line instead, since scripts and users know it.
/// </summary>
internal static class CommandHelp
{
    /// <summary>Prints the page and tells true if the arguments ask for it.</summary>
    public static bool Asked(string command, string[] arguments)
    {
        if (arguments is not ["--help"] || Find(command) is not { } page)
        {
            return false;
        }

        Console.Out.WriteLine(page);
        return true;
    }

    private static string? Find(string command) => command switch
    {
        "postmap" => """
            usage: postmap [OPTION ...] [TYPE:]FILE ...
            Makes a lookup table's database from its source file (no -d, -q or -s), asks it, or changes it.
              -c DIR   configuration directory
              -d KEY   delete KEY (- reads keys from standard input); 0 if one was deleted
              -f       do not fold keys to lower case
              -i       add entries from standard input to the existing database
              -n -N    without, with a NUL at the end of keys and values
              -o       do not give the database the source's owner when run as root
              -p       do not copy the source file's permissions
              -q KEY   print KEY's value (- reads keys, prints KEY<TAB>value); 1 if there is none
              -r       with -i or when building: a later entry replaces an earlier one, silently
              -s       print all entries
              -u       do not treat text as UTF-8
              -v       say more
              -w       do not warn of duplicates
            """,
        "postalias" => """
            usage: postalias [OPTION ...] [TYPE:]FILE ...
            Makes the alias database from its source file (no -d, -q or -s), asks it, or changes it.
            The options are postmap's; the format is aliases(5)'s: name: value, value, ...
            """,
        "newaliases" => "usage: newaliases\nMakes the databases that alias_database names from their source files.",
        "postconf" => """
            usage: postconf [OPTION ...] [NAME ...]
            Shows main.cf's settings (all, or those named), or changes them.
              -c DIR      configuration directory
              -d          defaults       -n  only what main.cf sets       -x  expand $names
              -e N=V ...  change settings, in place     -# NAME  comment out     -X NAME  remove
              -h -H       values only, names only       -f  fold long lines      -o N=V  as if it were set
              -M -F -P    master.cf: whole rows, fields, -o parameters (TYPE/SERVICE/...)
              -b -t [FILE]  texts of notices as they are sent, and their templates
              -C CLASS    only builtin, service or user parameters
              -m -l       the table types, the lock types that work
              -j          JSON           -q  no warnings
            """,
        "postmulti" => """
            usage: postmulti -l | -p POSTFIX-COMMAND | -x COMMAND | -e ACTION [OPTION ...] [PARAMETER=VALUE ...]
            Looks after several instances. The primary one is in /etc/postfix; its main.cf names the others.
              -l       list: name, group, enabled, directory
              -p -x    run a command of postfix, any command, for each instance
              -e       init, create, import, destroy, deport, enable, disable, assign
              -a -g GROUP -i NAME   which instances; with create and import, before which one (-a: first)
              -I NAME -G GROUP      the name and group to give; - for none
              -R       in reverse order      -v  say more
            """,
        "postqueue" => """
            usage: postqueue [-c DIR] -p | -j | -f | -i ID | -s SITE
              -p       list the queue      -j  the same, a JSON object a line
              -f       try everything now
              -i ID    try one message now
              -s SITE  try what waits for a domain now
            """,
        "mailq" => "usage: mailq\nLists the queue, as postqueue -p does.",
        "postsuper" => """
            usage: postsuper [-c DIR] [-d|-e|-f|-h|-H|-r ID ...] [QUEUE ...]
            Changes queued messages; ID is a queue ID, ALL, or - to read IDs from standard input. For root.
              -d  delete      -h  put on hold     -H  release from hold
              -r  requeue: look addresses up anew
              -e  expire at the next attempt      -f  the same, released from hold
            """,
        "postcat" => """
            usage: postcat [-c DIR] [-b] [-h] [-e] [-o] [-d] [-f] [-q] FILE|ID ...
            Shows a queued message: by queue ID, or by a path whose last part is one; maildrop files by their path.
              -e -h -b  envelope, headers, body only      -q  search the queue for the ID
              -d -o -f  record types as numbers, with offsets, with the file's name
            """,
        "postdrop" => "usage: postdrop [-c DIR] [-r]\nTakes a message from sendmail on standard input into the maildrop directory.\n  -r  answer on standard output",
        "postlog" => "usage: postlog [-c DIR] [-i] [-p PRIORITY] [-t TAG] [TEXT ...]\nLogs TEXT, or each line of standard input. PRIORITY: info, warn, error, fatal, panic.\n  -i  with the process number",
        "sendmail" => """
            usage: sendmail [OPTION ...] [RECIPIENT ...]
            Takes a message from standard input.
              -t         recipients from To:, Cc: and Bcc:
              -f ADDR    envelope sender          -F NAME  sender's full name
              -i, -oi    a line with a dot alone does not end the message
              -N WHEN    notices: never, or failure, delay, success      -R full|hdrs  what they return
              -V ID      envelope ID              -B 8BITMIME|7BIT       the body's encoding
              -C DIR     configuration directory
              -bs        an SMTP session on standard input and output
              -bp        list the queue           -bi      make the alias databases (newaliases)
              -q         try everything now
            """,
        _ => null,
    };
}
