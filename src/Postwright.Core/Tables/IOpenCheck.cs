namespace Postwright.Core.Tables;

/// <summary>A table whose opening can fail and be tried again.</summary>
internal interface IOpenCheck
{
    /// <summary>Opens the table if need be; null, or why it cannot be used.</summary>
    string? CheckOpen();
}

/// <summary>A table whose entries can be listed (<c>postmap -s</c>).</summary>
internal interface IListable
{
    /// <summary>False for a kind that Postfix cannot list.</summary>
    bool CanList => true;

    /// <summary>Gives every entry to <paramref name="entry"/>; null, or why that ended early (empty when there is no more to say).</summary>
    string? List(Action<string, string> entry);
}
