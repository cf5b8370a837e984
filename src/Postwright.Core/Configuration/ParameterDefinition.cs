namespace Postwright.Core.Configuration;

/// <summary>How a parameter's text is read.</summary>
public enum ParameterKind
{
    /// <summary>Text, references expanded.</summary>
    Text,

    /// <summary>Text whose references are expanded by its user, message by message; never when it is read.</summary>
    Raw,

    /// <summary>yes or no.</summary>
    Bool,

    /// <summary>A whole number of 31 bits.</summary>
    Int,

    /// <summary>A whole number of 63 bits.</summary>
    Long,

    /// <summary>A duration.</summary>
    Time,

    /// <summary>Several durations.</summary>
    TimeList,

    /// <summary>Elements separated by commas or blanks.</summary>
    List,
}

/// <summary>Where a parameter comes from, which decides when postconf shows it.</summary>
public enum ParameterScope
{
    /// <summary>Known to Postfix's own table; <c>postconf -d</c> shows it.</summary>
    Builtin,

    /// <summary>An old name that still counts; shown only where it is set.</summary>
    Legacy,

    /// <summary>A pattern: <c>transport_</c> stands for the name of any master.cf delivery service.</summary>
    Template,

    /// <summary>An instance of a template for a service that Postfix always has.</summary>
    Transport,

    /// <summary>Postwright's own.</summary>
    Ours,
}

/// <summary>What start does with a parameter that is set to other than its default.</summary>
public enum ParameterSupport
{
    /// <summary>Obeyed.</summary>
    Implemented,

    /// <summary>Not obeyed yet, and it filters, authenticates, encrypts or redirects mail: start stops.</summary>
    Refuse,

    /// <summary>Not obeyed yet; start says so.</summary>
    Warn,

    /// <summary>Means nothing here: it describes how Postfix's own programs are built or talk to each other.</summary>
    NoEffect,
}

/// <summary>One row of the parameter table.</summary>
/// <param name="Name">The name in main.cf.</param>
/// <param name="Kind">How its text is read.</param>
/// <param name="Unit">The unit of a bare number where the kind is a duration: s, m, h, d, w.</param>
/// <param name="Scope">Where it comes from.</param>
/// <param name="Support">What start does with it.</param>
/// <param name="Inert">Further values that mean the same as the default.</param>
/// <param name="Minimum">Smallest number allowed (seconds for durations).</param>
/// <param name="Maximum">Largest number allowed.</param>
/// <param name="Default">Unexpanded default text; empty where <see cref="IsDerived"/>.</param>
/// <param name="Summary">One line for postconf(5) readers.</param>
public sealed record ParameterDefinition(
    string Name,
    ParameterKind Kind,
    char Unit,
    ParameterScope Scope,
    ParameterSupport Support,
    IReadOnlyList<string> Inert,
    long Minimum,
    long Maximum,
    string Default,
    string Summary)
{
    /// <summary>True for the parameters whose default is found on the machine: myhostname, mydomain, mynetworks.</summary>
    public bool IsDerived => Name is "myhostname" or "mydomain" or "mynetworks";
}
