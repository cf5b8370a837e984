namespace Postwright.Core.Records;

/// <summary>
/// The record types of a Postfix queue file. A file is: envelope records, <see cref="Message"/>, content records, <see cref="Extracted"/>,
/// records taken from headers, <see cref="End"/>. A file without <see cref="End"/> is unfinished, whatever its mode.
/// </summary>
public static class RecordType
{
    /// <summary>Sizes and offsets of the file; the first record of one that cleanup made.</summary>
    public const byte Size = (byte)'C';

    /// <summary>When the message arrived: seconds, a blank, microseconds.</summary>
    public const byte Time = (byte)'T';

    /// <summary>When the queue file was made.</summary>
    public const byte CreationTime = (byte)'c';

    /// <summary>The sender's full name, for a missing From:.</summary>
    public const byte FullName = (byte)'F';

    /// <summary>A content inspector.</summary>
    public const byte Inspector = (byte)'I';

    /// <summary>A content filter; the same letter as <see cref="Continued"/>, told apart by the part of the file it is in.</summary>
    public const byte Filter = (byte)'L';

    /// <summary>The envelope sender, in internal form.</summary>
    public const byte Sender = (byte)'S';

    /// <summary>A recipient that needs no further attempt.</summary>
    public const byte DoneRecipient = (byte)'D';

    /// <summary>A recipient that was taken out again.</summary>
    public const byte CancelledRecipient = (byte)'/';

    /// <summary>A recipient, in internal form.</summary>
    public const byte Recipient = (byte)'R';

    /// <summary>What the next recipient was before it was rewritten.</summary>
    public const byte OriginalRecipient = (byte)'O';

    /// <summary>When the sender is to be warned of a delay.</summary>
    public const byte WarningTime = (byte)'W';

    /// <summary>A named attribute, <c>name=value</c>.</summary>
    public const byte Attribute = (byte)'A';

    /// <summary>A record that was made void.</summary>
    public const byte Killed = (byte)'K';

    /// <summary>All recipients are replaced by this one.</summary>
    public const byte Redirect = (byte)'>';

    /// <summary>Flags of cleanup.</summary>
    public const byte Flags = (byte)'f';

    /// <summary>ORCPT of the next recipient.</summary>
    public const byte DsnOriginalRecipient = (byte)'o';

    /// <summary>NOTIFY of the next recipient.</summary>
    public const byte DsnNotify = (byte)'n';

    /// <summary>ENVID.</summary>
    public const byte DsnEnvelopeId = (byte)'i';

    /// <summary>RET.</summary>
    public const byte DsnReturn = (byte)'<';

    /// <summary>The content begins.</summary>
    public const byte Message = (byte)'M';

    /// <summary>A line, or a part of one, that the next record continues.</summary>
    public const byte Continued = (byte)'L';

    /// <summary>A line, or the end of one, without its line end.</summary>
    public const byte Line = (byte)'N';

    /// <summary>Padding.</summary>
    public const byte Padding = (byte)'w';

    /// <summary>The content has ended; records taken from headers follow.</summary>
    public const byte Extracted = (byte)'X';

    /// <summary>Return-Receipt-To, from headers.</summary>
    public const byte ReturnReceipt = (byte)'r';

    /// <summary>Errors-To, from headers.</summary>
    public const byte ErrorsTo = (byte)'e';

    /// <summary>Priority.</summary>
    public const byte Priority = (byte)'P';

    /// <summary>The next record is elsewhere in the file.</summary>
    public const byte Pointer = (byte)'p';

    /// <summary>VERP delimiters (sendmail -XV).</summary>
    public const byte Verp = (byte)'V';

    /// <summary>The end of the file.</summary>
    public const byte End = (byte)'E';

    /// <summary>The envelope records that a queue file may have, its end first.</summary>
    public static ReadOnlySpan<byte> Envelope => "MCTcFILSDRO/WVA>K"u8;

    /// <summary>The content records, their end first.</summary>
    public static ReadOnlySpan<byte> Content => "XLN"u8;

    /// <summary>The records after the content, their end first.</summary>
    public static ReadOnlySpan<byte> AfterContent => "EDRO/PreAFIL>K"u8;

    /// <summary>postcat's word for a type.</summary>
    public static string Name(byte type) => type switch
    {
        Size => "message_size",
        Time => "message_arrival_time",
        CreationTime => "queue_file_create_time",
        FullName => "sender_fullname",
        Inspector => "content_inspector",
        Filter => "content_filter",
        Sender => "sender",
        DoneRecipient => "done_recipient",
        CancelledRecipient => "canceled_recipient",
        Recipient => "recipient",
        OriginalRecipient => "original_recipient",
        WarningTime => "warning_message_time",
        Attribute => "named_attribute",
        Killed => "killed_record",
        Redirect => "redirect_to",
        Flags => "flags",
        DsnOriginalRecipient => "dsn_original_recipient",
        DsnNotify => "dsn_notify_flags",
        DsnEnvelopeId => "dsn_envelope_id",
        DsnReturn => "dsn_return_flags",
        Message => "message_content",
        Line => "regular_text",
        Padding => "padding",
        Extracted => "extracted_info",
        ReturnReceipt => "return_receipt",
        ErrorsTo => "errors_to",
        Priority => "priority",
        Pointer => "pointer_record",
        Verp => "verp_delimiters",
        End => "message_end",
        _ => "unknown_record_type",
    };
}
