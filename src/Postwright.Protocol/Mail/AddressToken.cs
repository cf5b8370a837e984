namespace Postwright.Protocol.Mail;

/// <summary>What a piece of an address list is.</summary>
public enum AddressTokenKind
{
    /// <summary>A single character with a meaning of its own: <c>&lt; &gt; @ , ; : .</c> and the like; <see cref="AddressToken.Text"/> holds it.</summary>
    Operator,

    /// <summary>A word that needs no quotes.</summary>
    Atom,

    /// <summary>A quoted string, or an atom that would need quotes; the text is without them.</summary>
    QuotedString,

    /// <summary>A domain literal, without its brackets.</summary>
    DomainLiteral,

    /// <summary>A comment in its external form, parentheses included.</summary>
    Comment,

    /// <summary>The colon that begins a group's members.</summary>
    GroupStart,

    /// <summary>An address; its pieces are <see cref="AddressToken.Parts"/>.</summary>
    Address,
}

/// <summary>A piece of an address list (RFC 5322, 3.2 and 3.4), as <see cref="AddressList"/> finds it.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Its text; empty for an address and a group's start.</param>
/// <param name="Parts">An address's pieces, else empty.</param>
public sealed record AddressToken(AddressTokenKind Kind, string Text, IReadOnlyList<AddressToken> Parts)
{
    internal AddressToken(AddressTokenKind kind, string text)
        : this(kind, text, [])
    {
    }

    internal bool Is(char operatorCharacter) => Kind == AddressTokenKind.Operator && Text[0] == operatorCharacter;

    internal bool IsWord => Kind is AddressTokenKind.Atom or AddressTokenKind.QuotedString or AddressTokenKind.DomainLiteral;
}
